"""The ASGI application that Envoy runs: gRPC calls as ASGI requests with trailers.

Envoy imports `augurium.node.grpc_engine:app`, which builds this.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from augurium.core.errors import AuguriumError, DeadlineExceeded, TooLarge
from augurium.node.departures import Departures
from augurium.node.envoy_tls import NAMES_HEADER, forwarded_names
from augurium.protocols.grpc_frames import (
    OK_TRAILERS,
    frame,
    status_trailers,
    timeout_s,
    unframe,
)
from augurium.protocols.oip_grpc import GrpcApi

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

GRPC_TYPE = (b"content-type", b"application/grpc")
# of a message that is gathered before its sender is known
SMALL_MESSAGE_BYTES = 64 * 1024
ACCEPTED = (b"grpc-accept-encoding", b"identity")
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [GRPC_TYPE, ACCEPTED],
    "trailers": True,
}
_OK = {"type": "http.response.trailers", "headers": OK_TRAILERS}


class GrpcOverAsgi:
    """Answers gRPC calls that arrive as ASGI HTTP requests."""

    def __init__(self, api: GrpcApi, max_message_bytes: int, departures: Departures) -> None:
        self._api = api
        self._max_message_bytes = max_message_bytes
        self._departures = departures

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            await _refuse(send)
            return
        path = scope["path"]
        if path == self._api.watch_path:
            await self._stream(receive, send, headers)
            return
        try:
            answer = await self._call(path, headers, receive)
        except AuguriumError as error:
            await _fail(send, error)
            return
        await send(_START)
        await send({"type": "http.response.body", "body": frame(answer)})
        await send(_OK)

    async def _call(self, path: str, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit_s = _limit_s(headers)
        message = unframe(await self._body(receive, headers), self._max_message_bytes)
        if limit_s is not None and limit_s <= 0:
            raise DeadlineExceeded("Request timeout expired")
        task = self._departures.enter(lambda: _until_left(receive))
        try:
            if not self._api.asks_who_calls:
                return await self._api.call(path, message, limit_s)
            names = _certificate_names(headers)
            return await self._api.call(path, message, limit_s, _authorization(headers), names)
        finally:
            self._departures.leave(task)

    async def _body(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        event = await receive()
        body: bytes = event.get("body", b"")
        if not event.get("more_body", False):
            return body
        parts = [body]
        size = len(body)
        known = False
        while event.get("more_body", False):
            event = await receive()
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > self._max_message_bytes + 5:
                raise TooLarge(f"the message is larger than {self._max_message_bytes} bytes")
            if size > SMALL_MESSAGE_BYTES and not known:
                # what open methods take is small; a stranger's large message is not gathered
                await self._api.check_known(_authorization(headers), _certificate_names(headers))
                known = True
        return b"".join(parts)

    async def _stream(self, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        """`Health.Watch`: sends until the caller leaves."""
        try:
            message = unframe(await self._body(receive, headers), self._max_message_bytes)
        except AuguriumError as error:
            await _fail(send, error)
            return
        await send(_START)
        left = asyncio.create_task(_until_left(receive))
        try:
            async with aclosing(self._api.watch(message)) as answers:
                while not left.done():
                    answer = asyncio.ensure_future(anext(answers))
                    await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
                    if not answer.done():
                        answer.cancel()
                        break
                    await send(
                        {
                            "type": "http.response.body",
                            "body": frame(answer.result()),
                            "more_body": True,
                        }
                    )
        finally:
            left.cancel()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _limit_s(headers: dict[bytes, bytes]) -> float | None:
    text = headers.get(b"grpc-timeout")
    return None if text is None else timeout_s(text.decode("latin-1"))


def _authorization(headers: dict[bytes, bytes]) -> str | None:
    value = headers.get(b"authorization")
    return None if value is None else value.decode("latin-1")


def _certificate_names(headers: dict[bytes, bytes]) -> tuple[str, ...]:
    return forwarded_names(headers.get(NAMES_HEADER))


async def _fail(send: Send, error: AuguriumError) -> None:
    """A trailers-only answer: the status stands in the headers."""
    headers = [GRPC_TYPE, *status_trailers(error)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send) -> None:
    """Not gRPC: this port speaks nothing else."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 415, "headers": headers})
    await send({"type": "http.response.body", "body": b"this port answers gRPC only\n"})
