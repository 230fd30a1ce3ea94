"""A Granian application that reads the body and gives a constant answer."""

from typing import Any

ANSWER = b'{"outputs":[]}'
HEADERS = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    await protocol()
    protocol.response_bytes(200, HEADERS, ANSWER)
