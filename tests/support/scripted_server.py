"""An HTTP server that answers as a test says: late, in pieces, with refusals, or not at all."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """One request: the how-many-eth it is, and what it held; header names are in lower case."""

    number: int
    target: str
    headers: dict[str, str]
    body: bytes


class Reset(NamedTuple):
    """Breaks the connection off."""


# what is done one after another: bytes are sent, seconds are waited for
Script = list[bytes | float | Reset]
Answer = Callable[[Asked], Script]


def reply(status: int, body: Any = None, chunked: bool = False, **headers: str) -> bytes:
    """A whole answer; what is not bytes is sent as JSON. `chunked` is its head alone."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    size = {"transfer-encoding": "chunked"} if chunked else {"content-length": str(len(content))}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in {**said, **size}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if chunked else content)


def chunk(content: bytes) -> bytes:
    """One chunk of an answer in pieces; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(content), content)


class ScriptedServer:
    """Listens on a loopback port; set `answer` to what shall happen from now on."""

    def __init__(self, port: int = 0) -> None:
        self.answer: Answer = lambda asked: [reply(404, {"error": "nothing is here"})]
        self.asked: list[Asked] = []
        self._counted = threading.Condition()
        self.left = threading.Event()  # a caller went away before its answer was whole
        self.port = port
        self._ended = asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, count: int = 1, seconds: float = 10.0) -> None:
        """Waits until that many requests have come."""
        with self._counted:
            assert self._counted.wait_for(lambda: len(self.asked) >= count, seconds)

    async def run(self, up: threading.Event) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**26)
        self.port = server.sockets[0].getsockname()[1]
        up.set()
        await self._ended.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def end(self) -> None:
        self._ended.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            if task is not None:
                self._connections.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = [line.partition(":") for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(len(self.asked), head[0].split(" ")[1], headers, body)
        with self._counted:
            self.asked.append(asked)
            self._counted.notify_all()
        for step in self.answer(asked):
            if isinstance(step, Reset):
                return False
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif not await self._stays(reader, step):
                self.left.set()
                return False
        return True

    async def _stays(self, reader: asyncio.StreamReader, seconds: float) -> bool:
        """Whether the caller is still there after some time; it says nothing meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                return bool(await reader.read(1))
        except TimeoutError:
            return True


@contextmanager
def scripted_server(port: int = 0) -> Iterator[ScriptedServer]:
    """A server on a thread of its own."""
    up = threading.Event()
    loop = asyncio.new_event_loop()
    server = ScriptedServer(port)
    thread = threading.Thread(target=_run, args=(loop, server, up))
    thread.start()
    up.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(server.end)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, server: ScriptedServer, up: threading.Event) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(server.run(up))
