"""An ASGI application that reads the body and gives a constant answer over REST or gRPC."""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = b'{"outputs":[]}'
REST_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"14")]
GRPC_HEADERS = [(b"content-type", b"application/grpc")]
EMPTY_MESSAGE = bytes(5)
OK = [(b"grpc-status", b"0")]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"].startswith("/inference."):
        await _answer_grpc(send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": REST_HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


async def _answer_grpc(send: Send) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": GRPC_HEADERS}
    await send({**start, "trailers": True})
    await send({"type": "http.response.body", "body": EMPTY_MESSAGE})
    await send({"type": "http.response.trailers", "headers": OK})


async def _lifespan(receive: Receive, send: Send) -> None:
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})
