"""A closed loop of REST requests from this process: what a Python caller sees, not what a node can
do.

`make bench` measures the node with a fast load generator.
"""

import http.client
import json
import statistics
import threading
import time
from typing import NamedTuple


class Latency(NamedTuple):
    """Milliseconds and requests per second of one load."""

    connections: int
    p50_ms: float
    p99_ms: float
    per_second: float
    errors: int


def measure(host: str, port: int, path: str, content: object, connections: int) -> Latency:
    """Sends the same request for a second over each of `connections` connections."""
    body = json.dumps(content).encode()
    seconds: list[float] = []
    errors: list[int] = []

    def caller() -> None:
        connection = http.client.HTTPConnection(host, port)
        end = time.perf_counter() + 1.0
        while (started := time.perf_counter()) < end:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                seconds.append(time.perf_counter() - started)
            else:
                errors.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=caller) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    percentiles = statistics.quantiles(seconds, n=100)
    return Latency(
        connections,
        percentiles[49] * 1000,
        percentiles[98] * 1000,
        len(seconds) / elapsed,
        len(errors),
    )
