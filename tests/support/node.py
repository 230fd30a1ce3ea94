"""`augurium serve` as a test meets it: a process, its ports, and plain requests."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from augurium.client import Client
from tests.support.processes import children_that_run

START_TIMEOUT_S = 90
AUGURIUM = str(Path(sys.executable).parent / "augurium")


class Reply(NamedTuple):
    """An HTTP answer: its JSON is None when the body is not JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Node:
    """`augurium serve` in a process of its own, on free ports.

    `prefix` stands before the command.
    """

    def __init__(self, home: Path, *flags: str, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, AUGURIUM, "serve", "--home", str(home)]
        command += ["--port", "0", "--grpc-port", "0", "--control-port", "0", *flags]
        self.log = (home.parent / f"{home.name}.log").open("ab")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=clean_environment()
        )
        line = self._first_line()
        if "is ready" not in line:
            self.process.kill()
            self.process.wait(30)
            pytest.fail(f"the node did not start: {Path(self.log.name).read_text()}")
        words = line.replace(",", "").split()
        self.rest = words[words.index("REST") + 1].removeprefix("http://")
        self.grpc = words[words.index("gRPC") + 1]
        self.management = words[words.index("management") + 1]

    def _first_line(self) -> str:
        stdout = self.process.stdout
        if stdout is None or not select.select([stdout], [], [], START_TIMEOUT_S)[0]:
            return ""
        return stdout.readline()

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = ""
    ) -> Reply:
        """One REST request on a connection of its own; objects and lists are sent as JSON."""
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        connection = http.client.HTTPConnection(self.rest, timeout=30)
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), path, content, headers or {}
            )
            answer = connection.getresponse()
            return Reply(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def client(self) -> Client:
        return Client(self.management)

    def children(self) -> dict[str, int]:
        """The node's processes by slot, as control knows them."""
        with self.client() as client:
            return {engine.engine: engine.pid for engine in client.server().engines}

    def stop(self) -> int:
        """Stops with grace; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()
        return code


def control_of(node: Node) -> psutil.Process:
    """Its control process; an AssertionError while it has none."""
    found = children_that_run("augurium.control", node.process.pid)
    assert found, "no control process"
    return found[0]


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("AUGURIUM_")}
