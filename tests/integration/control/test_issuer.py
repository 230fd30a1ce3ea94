"""The public keys of an identity provider: read over HTTP or from a file, kept when it is down."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from augurium.control.issuer import Issuer


def key_set(kid: str) -> bytes:
    key = jwk.ECKey.generate_key("P-256")
    return json.dumps({"keys": [key.as_dict(private=False, kid=kid)]}).encode()


class Provider(ThreadingHTTPServer):
    """Answers every path with `answer`, a status and a body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, key_set("first"))
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/keys"


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        status, body = self.server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("location", self.server.url)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
        thread.start()
        yield provider
        provider.shutdown()
        thread.join()


@pytest.fixture
def issuer(provider: Provider, tmp_path: Path) -> Issuer:
    return Issuer(provider.url, tmp_path / "kept.jwks")


def kids(issuer: Issuer) -> list[str]:
    return [key["kid"] for key in json.loads(issuer.keys)["keys"]]


async def test_keys_are_read_and_only_a_change_is_news(issuer: Issuer, provider: Provider) -> None:
    assert await issuer.refresh()
    assert kids(issuer) == ["first"]
    assert not await issuer.refresh()
    provider.answer = (200, key_set("second"))
    assert await issuer.refresh()
    assert kids(issuer) == ["second"]


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"oops"),
        (404, b""),
        (302, b""),
        (200, b"<html>"),
        (200, b'{"keys": []}'),
        (200, b" " * 300_000),
    ],
    ids=["error", "gone", "redirect", "page", "empty", "huge"],
)
async def test_a_provider_in_trouble_leaves_the_keys_as_they_were(
    issuer: Issuer, provider: Provider, answer: tuple[int, bytes]
) -> None:
    await issuer.refresh()
    provider.answer = answer

    assert not await issuer.refresh()
    assert kids(issuer) == ["first"]
    assert provider.asked == 2


async def test_unknown_signers_make_it_ask_once_a_minute_at_most(issuer: Issuer) -> None:
    assert issuer.due(0.0, wanted_at=0.0)
    await issuer.refresh()
    asked = [second for second in range(1, 600) if issuer.due(float(second), float(second))]

    assert asked == [60, 120, 180, 240, 300, 360, 420, 480, 540]


async def test_without_unknown_signers_it_asks_now_and_then(issuer: Issuer) -> None:
    assert issuer.due(0.0, wanted_at=0.0)
    await issuer.refresh()

    assert [second for second in range(1, 1300) if issuer.due(float(second), 0.0)] == [600, 1200]


@pytest.mark.parametrize("tokens_come", [False, True])
def test_as_long_as_there_are_no_keys_it_asks_more_often(issuer: Issuer, tokens_come: bool) -> None:
    asked = [
        second
        for second in range(30)
        if issuer.due(float(second), float(second) if tokens_come else 0.0)
    ]

    assert asked == [0, 10, 20]


async def test_keys_outlive_the_process_and_the_provider(issuer: Issuer, tmp_path: Path) -> None:
    await issuer.refresh()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        later = Issuer(f"http://127.0.0.1:{taken.getsockname()[1]}/", tmp_path / "kept.jwks")
        later.restore()
        assert not await later.refresh()

    assert kids(later) == ["first"]


async def test_a_provider_that_never_answers_is_not_waited_for_long(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = Issuer(f"http://127.0.0.1:{silent.getsockname()[1]}/", tmp_path / "kept")
        started = time.monotonic()
        assert not await issuer.refresh()

    assert time.monotonic() - started < 10


async def test_keys_may_come_from_a_file_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    issuer = Issuer(str(file), tmp_path / "kept.jwks")
    assert not await issuer.refresh()
    file.write_bytes(key_set("a"))
    assert await issuer.refresh()
    file.write_bytes(b"half a fi")
    assert not await issuer.refresh()

    assert kids(issuer) == ["a"]


@pytest.mark.parametrize("content", [None, b"", b"not json", b"\xff" * 100])
async def test_damaged_kept_keys_are_left_aside(tmp_path: Path, content: bytes | None) -> None:
    kept = tmp_path / "kept.jwks"
    if content is not None:
        kept.write_bytes(content)
    issuer = Issuer("unused", kept)
    issuer.restore()

    assert issuer.keys == ""
