import pytest

from augurium.control.errors import HttpRefusal
from augurium.control.origin import check_origin
from augurium.core.errors import InvalidArgument, PermissionDenied


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:80",
    ],
)
def test_this_machine_may_be_called_by_its_loopback_names(host: str) -> None:
    check_origin("POST", [(b"host", host.encode())])


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "127.0.0.1@attacker.example",
        "192.168.1.7:8080",
        "0.0.0.0",
        "2130706433",
        "127.1",
        "[::1",
        "[::1]x",
        "::1",
        "localhost:80:80",
        "localhost:x",
        "localhost.",
        "",
        " ",
    ],
)
def test_another_host_is_refused(host: str) -> None:
    with pytest.raises(HttpRefusal) as refused:
        check_origin("GET", [(b"host", host.encode())])

    assert refused.value.status == 421


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"]])
def test_a_request_needs_exactly_one_host(hosts: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        check_origin("GET", [(b"host", host.encode()) for host in hosts])


@pytest.mark.parametrize(
    "origin",
    ["http://attacker.example", "null", "", "http://localhost:3000", "file://", "http://localhost"],
)
def test_a_page_of_another_origin_changes_nothing(origin: str) -> None:
    headers = [(b"host", b"localhost:8080"), (b"origin", origin.encode())]

    with pytest.raises(PermissionDenied):
        check_origin("POST", headers)
    check_origin("GET", headers)


def test_a_page_of_the_same_origin_may_change_things() -> None:
    check_origin("DELETE", [(b"host", b"localhost:8080"), (b"origin", b"http://localhost:8080")])
