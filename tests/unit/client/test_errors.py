"""Every refusal becomes the error of its kind."""

import httpx
import pytest

from augurium.client.errors import NoServer, error_of_kind, error_of_response, error_of_transport
from augurium.core.errors import (
    AuguriumError,
    Conflict,
    DeadlineExceeded,
    ErrorKind,
    Internal,
    InvalidArgument,
    NotFound,
    NotReady,
    Overloaded,
)

REQUEST = httpx.Request("GET", "http://node:8080/api/v1/models")


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_its_class(kind: ErrorKind) -> None:
    error = error_of_kind(kind, "why")

    assert (error.kind, str(error)) == (kind, "why")


def test_a_kind_of_a_newer_server_is_internal() -> None:
    assert type(error_of_kind("melted", "why")) is Internal


def test_the_kind_in_the_body_counts_more_than_the_status() -> None:
    body = {"error": "the queue is full", "kind": "overloaded"}

    error = error_of_response(httpx.Response(503, json=body, request=REQUEST))

    assert type(error) is Overloaded
    assert str(error) == "the queue is full"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidArgument),
        (404, NotFound),
        (409, Conflict),
        (500, Internal),
        (503, NotReady),
        (504, DeadlineExceeded),
        (418, Internal),
    ],
)
def test_without_a_kind_the_status_says_it(status: int, expected: type[AuguriumError]) -> None:
    error = error_of_response(httpx.Response(status, json={"error": "why"}, request=REQUEST))

    assert type(error) is expected


@pytest.mark.parametrize("content", [b"<html>Not Found</html>", b"", b"\xff\xfe", b"[]"])
def test_a_stranger_at_the_url_is_called_that(content: bytes) -> None:
    error = error_of_response(httpx.Response(404, content=content, request=REQUEST))

    assert "is it an Augurium server?" in str(error)


def test_silence_says_how_to_start_a_server() -> None:
    error = error_of_transport(httpx.ConnectError("refused"), "http://node:8080", 30.0)

    assert type(error) is NoServer
    assert "no Augurium server answers at http://node:8080" in str(error)
    assert "augurium serve" in str(error)


def test_slowness_is_an_exceeded_deadline() -> None:
    error = error_of_transport(httpx.ReadTimeout("slow"), "http://node:8080", 2.5)

    assert type(error) is DeadlineExceeded
    assert "2.5 s" in str(error)


def test_a_broken_connection_is_not_ready() -> None:
    error = error_of_transport(httpx.ReadError("reset"), "http://node:8080", 30.0)

    assert type(error) is NotReady


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("-1", None),
        ("9" * 20, None),
    ],
)
def test_the_header_says_when_to_try_again(text: str, seconds: float | None) -> None:
    response = httpx.Response(
        503, json={"error": "why"}, headers={"retry-after": text}, request=REQUEST
    )

    assert error_of_response(response).retry_after_s == seconds


def test_a_header_tells_kinds_that_share_a_status() -> None:
    response = httpx.Response(
        503, json={"error": "why"}, headers={"augurium-error": "overloaded"}, request=REQUEST
    )

    assert type(error_of_response(response)) is Overloaded
