"""REST on a schedule that tells refusals from answers: `python -m benchmarks.paced_calls PORT PATH
BODY_FILE RATE WARMUP_SECONDS SECONDS CONNECTIONS`.

Requests are due at even intervals, whether or not earlier ones were answered; a time runs from when
a request was due. Prints one JSON object. For rates of some thousand a second; `openloop.c` is for
more.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


class Calls:
    """Connections that are used in turn, and what became of the requests."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self._port = port
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self._idle: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self._idle = asyncio.LifoQueue()
        self.answered: list[float] = []
        self.refused: list[float] = []
        self.hinted = 0
        self.failed = 0

    async def connect(self, count: int) -> None:
        """Opens connections."""
        for _ in range(count):
            self._idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))

    async def one(self, due: float, counts: bool) -> None:
        """One request that was due at a time; counted or not."""
        reader, writer = await self._idle.get()
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, IndexError):
            self.failed += counts
            writer.close()
            return
        seconds = time.monotonic() - due
        self._idle.put_nowait((reader, writer))
        if counts:
            self._count(int(head[9:12]), seconds, b"retry-after" in head.lower())

    def _count(self, status: int, seconds: float, hinted: bool) -> None:
        if status == 200:
            self.answered.append(seconds)
        elif status == 503:
            self.refused.append(seconds)
            self.hinted += hinted
        else:
            self.failed += 1


def _ms(seconds: list[float], share: float) -> float:
    return round(float(np.quantile(seconds, share)) * 1000, 3) if seconds else 0.0


async def run(
    calls: Calls, rate: float, warmup_s: float, seconds: float, connections: int
) -> dict[str, float]:
    """Sends and counts; what was due in the first `warmup_s` is not counted."""
    await calls.connect(connections)
    began = time.monotonic()
    tasks = []
    for number in range(int(rate * (seconds + warmup_s))):
        due = began + number / rate
        if (pause_s := due - time.monotonic()) > 0:
            await asyncio.sleep(pause_s)
        tasks.append(asyncio.create_task(calls.one(due, due - began >= warmup_s)))
    await asyncio.wait(tasks, timeout=10)
    late = sum(not task.done() for task in tasks)
    return {
        "answered": len(calls.answered),
        "refused": len(calls.refused),
        "hinted": calls.hinted,
        "failed": calls.failed + late,
        "per_s": round(len(calls.answered) / seconds, 1),
        "p50_ms": _ms(calls.answered, 0.5),
        "p99_ms": _ms(calls.answered, 0.99),
        "refused_p99_ms": _ms(calls.refused, 0.99),
    }


def paced(
    port: int,
    path: str,
    bodies: Path,
    rate: float,
    seconds: float,
    connections: int,
    warmup_s: float = 0.5,
) -> dict[str, Any]:
    """What a process of its own finds."""
    command = [sys.executable, "-m", "benchmarks.paced_calls", str(port), path, str(bodies)]
    command += [str(rate), str(warmup_s), str(seconds), str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    port, path, body, *numbers, connections = sys.argv[1:]
    rate, warmup_s, seconds = map(float, numbers)
    found = Calls(int(port), path, Path(body).read_bytes().splitlines()[0])
    print(json.dumps(asyncio.run(run(found, rate, warmup_s, seconds, int(connections)))))
