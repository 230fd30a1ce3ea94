"""A download in ranges: several at a time, each repeated on its own, handed out in order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from augurium.core.errors import NotReady
from augurium.registry.remote_errors import remote_errors
from augurium.registry.retries import repeated

RANGE_BYTES = 8 * 1024 * 1024
PARALLEL = 4
URL_VALID = timedelta(minutes=10)
SERVER_ERROR = 500
TOO_MANY_REQUESTS = 429
NOT_PARTIAL = "non-partial response"
RemoteStore = S3Store | GCSStore | AzureStore


class BrokenRange(Exception):
    """A range that did not arrive whole; asking again may help."""


class RangeReader:
    """Reads ranges of objects of one store. Memory is bounded by RANGE_BYTES x PARALLEL.

    Some S3 servers answer a range with status 200 instead of 206 (RFC 9110, section 15.3.7).
    obstore refuses that; ranges are then fetched by a signed URL, and accepted if the length is
    right.
    """

    def __init__(
        self, store: RemoteStore, place: str, retries: int, timeout: httpx.Timeout
    ) -> None:
        self._store = store
        self._place = place
        self._retries = retries
        self._timeout = timeout
        self._signed: bool | None = None

    def chunks(self, key: str, size_bytes: int) -> Iterator[bytes]:
        """The object from its beginning to its end.

        Raises NotReady when the store does not answer, after as many retries as were given.
        """
        starts = range(0, size_bytes, RANGE_BYTES)
        if size_bytes:
            self._find_out(key)
        waiting: deque[Future[bytes]] = deque()
        with self._client() as client, ThreadPoolExecutor(PARALLEL, "download") as threads:
            try:
                for start in starts:
                    if len(waiting) == PARALLEL:
                        yield waiting.popleft().result()
                    end = min(start + RANGE_BYTES, size_bytes)
                    waiting.append(threads.submit(self._range, client, key, start, end))
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def read(self, key: str, start: int, stop: int) -> bytes:
        """The bytes of an object from `start` up to `stop`; raises as `chunks`."""
        self._find_out(key)
        if not self._signed:
            return self._range(None, key, start, stop)
        with self._client() as client:
            return self._range(client, key, start, stop)

    def _find_out(self, key: str) -> None:
        """Asks once, with a range of one byte, how this store answers."""
        if self._signed is not None:
            return
        try:
            with remote_errors(self._place):
                obstore.get_range(self._store, key, start=0, end=1)
        except NotReady as error:
            if NOT_PARTIAL not in str(error.__cause__):
                raise
            self._signed = True
        else:
            self._signed = False

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=self._timeout, trust_env=not _is_local(self._place))

    def _range(self, client: httpx.Client | None, key: str, start: int, end: int) -> bytes:
        def read() -> bytes:
            content = (
                self._by_url(client, key, start, end)
                if client is not None and self._signed
                else bytes(obstore.get_range(self._store, key, start=start, end=end))
            )
            if len(content) != end - start:
                raise BrokenRange
            return content

        try:
            with remote_errors(self._place):
                return repeated(read, self._retries, (BrokenRange, BaseError, httpx.TransportError))
        except BrokenRange as error:
            raise NotReady(
                f"{self._place} broke off an answer, repeatedly; try again later"
            ) from error

    def _by_url(self, client: httpx.Client, key: str, start: int, end: int) -> bytes:
        url = obstore.sign(self._store, "GET", key, URL_VALID)
        wanted = {"range": f"bytes={start}-{end - 1}"}
        with client.stream("GET", url, headers=wanted) as answer:
            if answer.status_code >= SERVER_ERROR or answer.status_code == TOO_MANY_REQUESTS:
                raise BrokenRange
            if not answer.is_success:
                raise NotReady(
                    f"{self._place} answered {answer.status_code} to a download; "
                    "check the credentials"
                )
            _check_length(answer, start, end, self._place)
            content = bytearray()
            for piece in answer.iter_raw():
                content += piece
            return bytes(content)


def _check_length(answer: httpx.Response, start: int, end: int, place: str) -> None:
    length = answer.headers.get("content-length")
    told = answer.headers.get("content-range", f"bytes {start}-{end - 1}/")
    if length != str(end - start) or not told.startswith(f"bytes {start}-{end - 1}/"):
        raise NotReady(
            f"{place} answered {length} bytes where bytes {start} to {end - 1} were asked for; "
            "expected a store that answers range requests"
        )


def _is_local(place: str) -> bool:
    return httpx.URL(place).host in ("127.0.0.1", "localhost", "::1")
