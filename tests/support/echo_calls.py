"""gRPC calls that give back what they were sent, for tests of what carries them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping

from typing_extensions import Buffer

from augurium.core.errors import NotFound, Unauthenticated, Unimplemented
from augurium.core.inference import Header

MODEL_TEXT = "there is no model 'ä'\n"


class EchoCalls:
    """`/e/Echo` gives its message back, `/e/Big` as many bytes as it says, `/e/Fail` an error;
    `/e/Wait` waits until it is let go. `/e/Talk` gives every message back, `/e/Count` counts up to
    its first, and both end with an error after the message `fail`.
    """

    stream_paths = frozenset({"/e/Talk", "/e/Count"})

    def __init__(self, known: bool = True) -> None:
        self.known = known
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.closed = asyncio.Event()
        self.taken = 0
        self.given = 0
        self.timeout_s: float | None = None

    def knows(self, _authorization: str | None, _names: tuple[str, ...]) -> bool:
        return self.known

    async def check_known(self, _authorization: str | None, _names: tuple[str, ...]) -> None:
        if not self.known:
            raise Unauthenticated("who are you?")

    async def call(
        self,
        path: str,
        message: Buffer,
        timeout_s: float | None = None,
        authorization: str | None = None,
        certificate_names: tuple[str, ...] = (),
        header: Header | None = None,
    ) -> bytes:
        self.timeout_s = timeout_s
        if path == "/e/Echo":
            return bytes(message)
        if path == "/e/Big":
            return b"x" * int(bytes(message))
        if path == "/e/Who":
            return f"{authorization} {certificate_names}".encode()
        if path == "/e/Fail":
            raise NotFound(MODEL_TEXT)
        if path == "/e/Broken":
            raise ZeroDivisionError
        if path == "/e/Wait":
            return await self._wait(bytes(message))
        raise Unimplemented(path)

    async def stream(
        self,
        path: str,
        messages: AsyncGenerator[Buffer, None],
        metadata: Mapping[str, str],
        certificate_names: tuple[str, ...] = (),
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for message in messages:
                self.taken += 1
                if bytes(message) == b"fail":
                    raise NotFound(MODEL_TEXT)
                if path == "/e/Talk":
                    yield bytes(message)
                    continue
                for number in range(int(bytes(message))):
                    self.given += 1
                    yield b"%06d" % number * 1000
        finally:
            self.closed.set()

    async def _wait(self, message: bytes) -> bytes:
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return message
