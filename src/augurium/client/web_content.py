"""Files of web servers, read by the client: https, and plain http from this machine only."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx

from augurium.core.errors import AuguriumError, InvalidArgument, NotFound, NotReady
from augurium.core.files import CHUNK_BYTES

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
ATTEMPTS = 4
MAX_REDIRECTS = 5
MISSING = (404, 410)
RETRYABLE = (429, 500, 502, 503, 504)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class WebContent:
    """One file. A stream that breaks off goes on where it broke, if the server can do that.

    Raises NotFound, NotReady when the server does not answer or refuses, and InvalidArgument for a
    URL that may not be used, be it by redirection.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._shown = str(self._url.copy_with(query=None, fragment=None))
        with self._client() as client, self._asked(client, "HEAD", 0, "") as answer:
            # a server without HEAD is asked properly later
            known = answer.is_success
            self._tag = answer.headers.get("etag", "") if known else ""
            self.size_bytes: int | None = _length(answer) if known else None
            self.name = _name(answer.url)

    def chunks(self) -> Iterator[bytes]:
        sent, failures = 0, 0
        with self._client() as client:
            while True:
                try:
                    for chunk in self._stream(client, sent):
                        yield chunk
                        sent += len(chunk)
                        failures = 0
                    if self.size_bytes is None or sent >= self.size_bytes:
                        break
                except (httpx.TransportError, _Busy) as error:
                    failures += 1
                    resumable = not sent or (self._tag and self.size_bytes is not None)
                    if failures == ATTEMPTS or not resumable:
                        raise self._unreachable() from error
        if self.size_bytes not in (None, sent):
            raise NotReady(f"{self._shown} changed while it was read; send it again")

    def _stream(self, client: httpx.Client, start: int) -> Iterator[bytes]:
        with self._asked(client, "GET", start, self._tag) as answer:
            if answer.status_code in RETRYABLE:
                raise _Busy
            self._check(answer, start)
            yield from answer.iter_raw(CHUNK_BYTES)

    def _client(self) -> httpx.Client:
        # bytes as they are: what is compressed on the way would arrive with another length
        return httpx.Client(
            timeout=TIMEOUT,
            trust_env=self._url.host not in LOOPBACK,
            headers={"accept-encoding": "identity"},
        )

    def _asked(self, client: httpx.Client, method: str, start: int, tag: str) -> Any:
        return _Following(client, method, self._url, _range_headers(start, tag), self._shown)

    def _check(self, answer: httpx.Response, start: int) -> None:
        if answer.status_code in MISSING:
            raise NotFound(f"{self._shown} does not exist (status {answer.status_code})")
        if not answer.is_success:
            raise NotReady(f"{self._shown} was answered {answer.status_code}; expected 200")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise NotReady(f"{self._shown} is sent compressed; expected the file as it is")
        told = answer.headers.get("content-range", "")
        if start and (answer.status_code != 206 or not told.startswith(f"bytes {start}-")):
            raise self._unreachable()
        if not start and answer.status_code != httpx.codes.OK:
            raise NotReady(f"{self._shown} was answered {answer.status_code}; expected 200")

    def _unreachable(self) -> AuguriumError:
        return NotReady(f"{self._shown} cannot be read: the server does not answer; try again")


class _Busy(Exception):
    """The server asked for patience."""


class _Following:
    """A request that follows redirections, each checked like the first URL."""

    def __init__(
        self,
        client: httpx.Client,
        method: str,
        url: httpx.URL,
        headers: dict[str, str],
        shown: str,
    ) -> None:
        self._client = client
        self._method = method
        self._url = url
        self._headers = headers
        self._shown = shown
        self._answer: httpx.Response | None = None

    def __enter__(self) -> httpx.Response:
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            request = self._client.build_request(self._method, url, headers=self._headers)
            try:
                self._answer = self._client.send(request, stream=True)
            except httpx.TransportError as error:
                if self._method == "HEAD":
                    raise NotReady(
                        f"{self._shown} cannot be read: the server does not answer; try again"
                    ) from error
                raise
            if self._answer.next_request is None:
                return self._answer
            url = _redirected(self._url, self._answer.next_request.url)
            self._answer.close()
        raise NotReady(f"{self._shown} redirects more than {MAX_REDIRECTS} times")

    def __exit__(self, *exception: object) -> None:
        if self._answer is not None:
            self._answer.close()


def _range_headers(start: int, tag: str) -> dict[str, str]:
    return {"range": f"bytes={start}-", "if-range": tag} if start else {}


def _checked(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidArgument(f"the URL {url[:200]!r} cannot be read: {error}") from error
    if found.userinfo:
        raise InvalidArgument(
            f"the URL of {found.host} holds a password; use one without, such as a signed URL"
        )
    plain = found.scheme == "http" and found.host in LOOPBACK
    if not found.host or not (found.scheme == "https" or plain):
        raise InvalidArgument(
            f"'{found.scheme}://{found.host}' is not allowed: expected https, or http on this "
            "machine; nobody may change a model on its way"
        )
    return found


def _redirected(first: httpx.URL, target: httpx.URL) -> httpx.URL:
    found = _checked(str(target))
    if first.host not in LOOPBACK and found.host in LOOPBACK:
        raise InvalidArgument(f"{first.host} redirects to this machine, which is not followed")
    return found


def _length(answer: httpx.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _name(url: httpx.URL) -> str:
    last = unquote(url.path.rstrip("/").rpartition("/")[2])
    return _UNSAFE.sub("_", last)[-200:].strip("_") or "model"
