"""The transport `grpc`: calls over one HTTP/2 channel, for threads and for tasks.

Both send one attempt and translate what comes back; deadlines, retries and closing are above. The
messages are bytes here, so nothing but grpcio is needed.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import grpc
from grpc import aio

from augurium.client.call import Answer, Call, StreamCall
from augurium.client.connection import HttpOptions
from augurium.client.deadline import Deadline
from augurium.client.grpc_errors import error_of_status
from augurium.client.server_place import AsyncFindUrl, FindUrl
from augurium.core.errors import AuguriumError, Cancelled, InvalidArgument

Result = TypeVar("Result")
FIRST_RECONNECT_MS = 50
LONGEST_RECONNECT_MS = 1000


class GrpcTransport:
    """Calls of threads. `find_url` knows the server's host and port."""

    def __init__(self, options: HttpOptions, find_url: FindUrl) -> None:
        self._options = options
        self._find_url = find_url
        self._lock = threading.Lock()
        self._place = ""
        self._channel: Any = None

    def send(self, call: Call[Result], deadline: Deadline) -> Result:
        """One attempt. Raises the error that its status stands for."""
        method = self._connected(deadline).unary_unary(call.target)
        try:
            content, told = method.with_call(call.content, **self._sending(call, deadline))
        except grpc.RpcError as error:
            raise _error(error, self._place, deadline) from error
        return call.read(Answer(content, _headers(told.initial_metadata())))

    def open(self, call: StreamCall[Result], deadline: Deadline) -> "GrpcStream[Result]":
        """Opens a stream. Raises as `send` when it ends before its first answer."""
        method = self._connected(deadline).stream_stream(call.target)
        stream = method(iter([call.content]), **self._sending(call, deadline))
        return GrpcStream(stream, self._place, deadline, call)

    def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            self._channel.close()

    def _connected(self, deadline: Deadline) -> Any:
        place = self._find_url(deadline)
        with self._lock:
            if self._channel is None:
                self._place = place
                self._channel = _channel(grpc, place, self._options)
        return self._channel

    def _sending(self, call: Call[Any] | StreamCall[Any], deadline: Deadline) -> dict[str, Any]:
        return _sending(call.headers, self._options.key, deadline.check(self._place))


class GrpcStream(Iterator[Result]):
    """The answers to one call, as they come. Close it."""

    def __init__(
        self, stream: Any, place: str, deadline: Deadline, call: StreamCall[Result]
    ) -> None:
        self._stream = stream
        self._place = place
        self._deadline = deadline
        self._read = call.reader({})
        self._found: Iterator[Result] = iter(())

    def __next__(self) -> Result:
        while True:
            for result in self._found:
                return result
            try:
                self._found = self._read(next(self._stream))
            except grpc.RpcError as error:
                raise _error(error, self._place, self._deadline) from error

    def interrupt(self) -> None:
        """Has a thread that waits for the next answer wake up with an error."""
        self._stream.cancel()

    def close(self) -> None:
        """Ends the stream; the server stops as well."""
        self._stream.cancel()


class AsyncGrpcTransport:
    """Calls of tasks of one event loop. `find_url` knows the server's host and port."""

    def __init__(self, options: HttpOptions, find_url: AsyncFindUrl) -> None:
        self._options = options
        self._find_url = find_url
        self._place = ""
        self._channel: Any = None

    async def send(self, call: Call[Result], deadline: Deadline) -> Result:
        """One attempt. Raises the error that its status stands for."""
        method = (await self._connected(deadline)).unary_unary(call.target)
        asked = method(call.content, **self._sending(call, deadline))
        try:
            content = await asked
            headers = _headers(await asked.initial_metadata())
        except grpc.RpcError as error:
            raise _error(error, self._place, deadline) from error
        return call.read(Answer(content, headers))

    async def open(self, call: StreamCall[Result], deadline: Deadline) -> "AsyncGrpcStream[Result]":
        """Opens a stream. Raises as `send` when it ends before its first answer."""
        method = (await self._connected(deadline)).stream_stream(call.target)
        stream = method(iter([call.content]), **self._sending(call, deadline))
        return AsyncGrpcStream(stream, self._place, deadline, call)

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()

    async def _connected(self, deadline: Deadline) -> Any:
        place = await self._find_url(deadline)
        if self._channel is None:
            self._place = place
            self._channel = _channel(aio, place, self._options)
        return self._channel

    def _sending(self, call: Call[Any] | StreamCall[Any], deadline: Deadline) -> dict[str, Any]:
        return _sending(call.headers, self._options.key, deadline.check(self._place))


class AsyncGrpcStream(AsyncIterator[Result]):
    """The answers to one call, as they come. Close it."""

    def __init__(
        self, stream: Any, place: str, deadline: Deadline, call: StreamCall[Result]
    ) -> None:
        self._stream = stream
        self._messages = aiter(stream)
        self._place = place
        self._deadline = deadline
        self._read = call.reader({})
        self._found: Iterator[Result] = iter(())
        self._closed = False

    async def __anext__(self) -> Result:
        while True:
            for result in self._found:
                return result
            try:
                self._found = self._read(await anext(self._messages))
            except grpc.RpcError as error:
                raise _error(error, self._place, self._deadline) from error
            except asyncio.CancelledError as error:
                # raised for a stream that was closed too, though nobody cancelled this task
                task = asyncio.current_task()
                if not self._closed or (task is not None and task.cancelling()):
                    raise
                raise Cancelled("the stream was closed while it was read") from error

    async def close(self) -> None:
        """Ends the stream; the server stops as well."""
        self._closed = True
        self._stream.cancel()


def _channel(package: Any, place: str, options: HttpOptions) -> Any:
    arguments = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # retries are made at one place only
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", FIRST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_MS),
        ("grpc.enable_http_proxy", 0 if options.local else 1),
        # clients do not share what they have of connections, so that one ends with its client
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if not options.encrypted:
        return package.insecure_channel(place, arguments)
    return package.secure_channel(place, _credentials(options), arguments)


def _credentials(options: HttpOptions) -> Any:
    tls = options.tls
    try:
        return grpc.ssl_channel_credentials(*map(_read, (tls.ca, tls.key, tls.certificate)))
    except OSError as error:
        raise InvalidArgument(f"TLS file {error.filename}: {error.strerror}") from error


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _sending(headers: Mapping[str, str], key: str | None, left_s: float) -> dict[str, Any]:
    metadata = list(headers.items())
    if key:
        metadata.append(("authorization", f"Bearer {key}"))
    return {"metadata": metadata, "timeout": left_s}


def _headers(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _error(error: Any, place: str, deadline: Deadline) -> AuguriumError:
    status = error.code()
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not deadline.left_s:
        return deadline.exceeded(place)
    return error_of_status(
        status.name, error.details() or "", _headers(error.trailing_metadata()), place
    )
