"""An HTTP proxy in front of a real server that does what networks and object stores do at times."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, cast

HEAD_END = b"\r\n\r\n"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: 38\r\n\r\n"
    b"<Error><Code>SlowDown</Code></Error>\r\n"
)
FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: 42\r\n\r\n"
    b"<Error><Code>ExpiredToken</Code></Error>\r\n"
)
NONSENSE = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"
ANSWERS = {"503": SLOW_DOWN, "403": FORBIDDEN, "nonsense": NONSENSE}


class Exchange(NamedTuple):
    """One request: what it is, and the how-many-eth of its method."""

    method: str
    target: str
    number: int


# what happens to an exchange: "pass", "503", "403", "reset", "cut", "corrupt", "corrupt upload",
# "stall", "nonsense" or "whole" (a range request becomes one for everything)
Fault = Callable[[Exchange], str]


class FaultProxy:
    """Listens on a loopback port; set `fault` to what shall happen from now on."""

    def __init__(self, upstream_port: int) -> None:
        self.fault: Fault = lambda exchange: "pass"
        self.seen: list[Exchange] = []
        self.port = 0
        self._upstream_port = upstream_port
        self._counts: dict[str, int] = {}
        self._ended = asyncio.Event()
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def run(self, up: threading.Event) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        up.set()
        await self._ended.wait()
        server.close()
        for writer in list(self._connections.values()):
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(list(self._connections))

    def end(self) -> None:
        self._ended.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._connections[task] = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.transport.abort()
        del self._connections[task]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(HEAD_END)
        body = await reader.readexactly(_length(head))
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        number = self._counts[method] = self._counts.get(method, 0) + 1
        exchange = Exchange(method, target, number)
        self.seen.append(exchange)
        fault = self.fault(exchange)
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "stall":
            await self._ended.wait()
            return False
        if fault in ANSWERS:
            writer.write(ANSWERS[fault])
            return True
        if fault == "corrupt upload" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        answer_head, answer = await self._ask(head, body, whole=fault == "whole")
        if fault == "corrupt" and answer:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        writer.write(answer_head)
        if fault == "cut":
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            writer.transport.abort()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    async def _ask(self, head: bytes, body: bytes, whole: bool) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._upstream_port, limit=2**26
        )
        lines = [
            line for line in head[: -len(HEAD_END)].split(b"\r\n") if not _dropped(line, whole)
        ]
        writer.write(b"\r\n".join([*lines, b"connection: close"]) + HEAD_END + body)
        answer = await reader.read(-1)
        writer.close()
        found, _, content = answer.partition(HEAD_END)
        kept = [line for line in found.split(b"\r\n") if not _dropped(line, False)]
        return b"\r\n".join(kept) + HEAD_END, content


@contextmanager
def fault_proxy(upstream_port: int) -> Iterator[FaultProxy]:
    """A proxy in front of a server on this machine, on a thread of its own."""
    up = threading.Event()
    loop = asyncio.new_event_loop()
    proxy = FaultProxy(upstream_port)
    thread = threading.Thread(target=_run, args=(loop, proxy, up))
    thread.start()
    up.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(proxy.end)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, proxy: FaultProxy, up: threading.Event) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(proxy.run(up))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _dropped(line: bytes, whole: bool) -> bool:
    name = line.partition(b":")[0].lower()
    return name == b"connection" or (whole and name == b"range")
