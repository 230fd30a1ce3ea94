"""The transport `rest`: calls over HTTP/1.1 on pooled connections, for threads and for tasks.

Both send one attempt and translate what comes back; deadlines, retries and closing are above.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

import httpx

from augurium.client.call import Answer, Call, StreamCall
from augurium.client.connection import HttpOptions, http_limits, origin
from augurium.client.deadline import Deadline
from augurium.client.errors import error_of_response, error_of_transport
from augurium.client.prediction_call import TIMEOUT_HEADER
from augurium.client.server_place import AsyncFindUrl, FindUrl
from augurium.core.errors import AuguriumError

Result = TypeVar("Result")

CONNECT_TIMEOUT_S = 3.0  # one lost SYN is sent again after a second
# the server is told a little less, so that its refusal, which says why, still arrives
MARGIN_SHARE = 0.05
MARGIN_S = 0.02
LEAST_MS = 1


class RestTransport:
    """Calls of threads. `find_url` knows the server's URL."""

    def __init__(self, options: HttpOptions, connections: int, find_url: FindUrl) -> None:
        self._http = httpx.Client(**options.arguments, limits=http_limits(connections))
        self._find_url = find_url

    def send(self, call: Call[Result], deadline: Deadline) -> Result:
        """One attempt. Raises the error that its answer, or silence, stands for."""
        response = self._opened(call.target, call.content, call.headers, deadline)
        try:
            content = b"".join(self._pieces(response, deadline))
        finally:
            response.close()
        return call.read(_answer(response, content))

    def open(self, call: StreamCall[Result], deadline: Deadline) -> "RestStream[Result]":
        """Opens a stream, whose first answer has not come yet. Raises as `send`."""
        response = self._opened(call.target, call.content, call.headers, deadline)
        return RestStream(response, self._pieces(response, deadline), call)

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def _opened(
        self, target: str, content: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> httpx.Response:
        url = self._find_url(deadline)
        left_s = deadline.check(url)
        request = self._http.build_request(
            "POST",
            url + target,
            content=content,
            headers=_headers(headers, left_s),
            timeout=_timeouts(left_s),
        )
        try:
            response = self._http.send(request, stream=True)
        except httpx.RequestError as error:
            raise _silence(error, request, deadline) from error
        if not response.is_success:
            try:
                content = b"".join(self._pieces(response, deadline))
            finally:
                response.close()
            raise error_of_response(_whole(response, content))
        return response

    def _pieces(self, response: httpx.Response, deadline: Deadline) -> Iterator[bytes]:
        # a read has its own limit; many short ones may not take longer together than the deadline
        try:
            for piece in response.iter_raw():
                yield piece
                if not deadline.left_s:
                    raise deadline.exceeded(origin(str(response.request.url)))
        except httpx.RequestError as error:
            raise _silence(error, response.request, deadline) from error


class RestStream(Iterator[Result]):
    """The answers to one call, as they come. Close it."""

    def __init__(
        self, response: httpx.Response, pieces: Iterator[bytes], call: StreamCall[Result]
    ) -> None:
        self._response = response
        self._pieces = pieces
        self._read = call.reader(response.headers)
        self._found: Iterator[Result] = iter(())

    def __next__(self) -> Result:
        while True:
            for result in self._found:
                return result
            self._found = self._read(next(self._pieces))

    def interrupt(self) -> None:
        """Has a thread that waits for the next answer wake up with an error."""
        stream = self._response.extensions.get("network_stream")
        with suppress(OSError, AttributeError):
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def close(self) -> None:
        """Ends the stream; the server stops as well."""
        self._response.close()


class AsyncRestTransport:
    """Calls of tasks of one event loop. `find_url` knows the server's URL."""

    def __init__(self, options: HttpOptions, connections: int, find_url: AsyncFindUrl) -> None:
        self._http = httpx.AsyncClient(**options.arguments, limits=http_limits(connections))
        self._find_url = find_url

    async def send(self, call: Call[Result], deadline: Deadline) -> Result:
        """One attempt. Raises the error that its answer, or silence, stands for."""
        request, response = await self._opened(call.target, call.content, call.headers, deadline)
        content = await self._content(request, response, deadline)
        return call.read(_answer(response, content))

    async def open(self, call: StreamCall[Result], deadline: Deadline) -> "AsyncRestStream[Result]":
        """Opens a stream, whose first answer has not come yet. Raises as `send`."""
        _, response = await self._opened(call.target, call.content, call.headers, deadline)
        return AsyncRestStream(response, deadline, call)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def _opened(
        self, target: str, content: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[httpx.Request, httpx.Response]:
        url = await self._find_url(deadline)
        left_s = deadline.check(url)
        request = self._http.build_request(
            "POST",
            url + target,
            content=content,
            headers=_headers(headers, left_s),
            timeout=_timeouts(left_s),
        )
        try:
            async with asyncio.timeout(left_s):
                response = await self._http.send(request, stream=True)
        except (httpx.RequestError, TimeoutError) as error:
            raise _silence(error, request, deadline) from error
        if not response.is_success:
            content = await self._content(request, response, deadline)
            raise error_of_response(_whole(response, content))
        return request, response

    async def _content(
        self, request: httpx.Request, response: httpx.Response, deadline: Deadline
    ) -> bytes:
        try:
            async with asyncio.timeout(deadline.left_s):
                return b"".join([piece async for piece in response.aiter_raw()])
        except (httpx.RequestError, TimeoutError) as error:
            raise _silence(error, request, deadline) from error
        finally:
            await response.aclose()


class AsyncRestStream(AsyncIterator[Result]):
    """The answers to one call, as they come. Close it."""

    def __init__(
        self, response: httpx.Response, deadline: Deadline, call: StreamCall[Result]
    ) -> None:
        self._response = response
        self._deadline = deadline
        self._pieces = response.aiter_raw()
        self._read = call.reader(response.headers)
        self._found: Iterator[Result] = iter(())

    async def __anext__(self) -> Result:
        while True:
            for result in self._found:
                return result
            try:
                async with asyncio.timeout(self._deadline.left_s):
                    self._found = self._read(await anext(self._pieces))
            except (httpx.RequestError, TimeoutError) as error:
                raise _silence(error, self._response.request, self._deadline) from error

    async def close(self) -> None:
        """Ends the stream; the server stops as well."""
        await self._response.aclose()


def _headers(headers: Mapping[str, str], left_s: float) -> dict[str, str]:
    told_s = left_s - min(MARGIN_S, MARGIN_SHARE * left_s)
    told_ms = str(max(LEAST_MS, int(told_s * 1000)))
    # packing costs a server more than the bytes cost a network
    return {"accept-encoding": "identity", **headers, TIMEOUT_HEADER: told_ms}


def _timeouts(left_s: float) -> httpx.Timeout:
    return httpx.Timeout(left_s, connect=min(left_s, CONNECT_TIMEOUT_S))


def _answer(response: httpx.Response, content: bytes) -> Answer:
    if "content-encoding" not in response.headers:
        return Answer(content, response.headers)
    try:
        return Answer(_whole(response, content).content, response.headers)
    except httpx.DecodingError as error:
        raise AuguriumError(
            f"the answer of {response.request.url} cannot be decompressed: {error}"
        ) from error


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    return httpx.Response(
        response.status_code, headers=response.headers, content=content, request=response.request
    )


def _silence(
    error: httpx.RequestError | TimeoutError, request: httpx.Request, deadline: Deadline
) -> AuguriumError:
    place = origin(str(request.url))
    if isinstance(error, TimeoutError) or (
        isinstance(error, httpx.TimeoutException) and not deadline.left_s
    ):
        return deadline.exceeded(place)
    return error_of_transport(error, place, deadline.total_s)
