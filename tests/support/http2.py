"""A caller of HTTP/2 that sends what it is told to, right or wrong, and reads frames."""

import asyncio
from typing import NamedTuple, Self

from hpack import Encoder

from augurium.node import http2_frames as frames
from augurium.node.http2_frames import END_HEADERS, END_STREAM, Code, Kind

WAIT_S = 10.0
PREFIX_BYTES = 5


class Frame(NamedTuple):
    """One frame that came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Http2Caller:
    """One connection; `start` greets the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.encoder = Encoder()

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def start(self, settings: dict[frames.Setting, int] | None = None) -> None:
        """The preface and SETTINGS; returns when the server has taken them."""
        self.writer.write(frames.PREFACE + frames.settings(settings or {}))
        await self.until(Kind.SETTINGS, flags=frames.ACK)

    def send(self, kind: Kind, flags: int, stream: int, payload: bytes = b"") -> None:
        """Queues one frame."""
        self.writer.write(frames.frame(kind, flags, stream, payload))

    def headers(
        self, stream: int, path: str, end: bool = False, extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Queues the head of a gRPC call."""
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.send(Kind.HEADERS, flags, stream, self.block(path, extra))

    def block(self, path: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
        """The header block of a gRPC call."""
        fields = (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "here"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        )
        encoded: bytes = self.encoder.encode([*fields, *extra])
        return encoded

    def call(self, stream: int, path: str, message: bytes, **more: bool) -> None:
        """Queues a whole unary call."""
        self.headers(stream, path)
        self.send(Kind.DATA, 0 if more.get("open") else END_STREAM, stream, framed(message))

    async def frame(self) -> Frame | None:
        """The next frame; None when the connection has ended."""
        try:
            async with asyncio.timeout(WAIT_S):
                head = await self.reader.readexactly(frames.HEAD_BYTES)
                length_kind, flags, stream = frames.head.unpack(head)
                payload = await self.reader.readexactly(length_kind >> 8)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Frame(length_kind & 0xFF, flags, stream, payload)

    async def until(self, kind: Kind, stream: int = 0, flags: int = 0) -> Frame:
        """The next frame of a kind on a stream with these flags, past all others."""
        while True:
            found = await self.frame()
            assert found is not None, f"the connection ended before a {kind.name} came"
            if (found.kind, found.stream) == (kind, stream) and found.flags & flags == flags:
                return found

    async def answer(self, stream: int) -> bytes:
        """The body of a stream's answer, to its end."""
        body = b""
        while True:
            found = await self.frame()
            assert found is not None, "the connection ended before the answer did"
            if found.stream != stream:
                continue
            assert found.kind != Kind.RST_STREAM, Code(int.from_bytes(found.payload))
            if found.kind == Kind.DATA:
                body += found.payload
                self.writer.write(frames.window_update(0, max(1, len(found.payload))))
                if not found.flags & END_STREAM:
                    self.writer.write(frames.window_update(stream, max(1, len(found.payload))))
            if found.flags & END_STREAM:
                return body

    async def goodbye(self) -> Code | None:
        """Why the server ended the connection; None if it did without a word."""
        code = None
        while (found := await self.frame()) is not None:
            if found.kind == Kind.GOAWAY:
                code = Code(int.from_bytes(found.payload[4:8]))
        return code

    async def reset(self, stream: int) -> Code:
        """Why the server gave a stream up."""
        found = await self.until(Kind.RST_STREAM, stream)
        return Code(int.from_bytes(found.payload))


def framed(message: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return b"\0" + len(message).to_bytes(4) + message
