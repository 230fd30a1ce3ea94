"""How fast feedback is taken: `python -m benchmarks.feedback` from the checkout's root.

A running node is sent outcomes one by one, a thousand at a time, and ten million in one stream;
then it is asked what it has. Reported are rows per second, every one durable when it is counted,
and the most memory that the control process had.
"""

import argparse
import http.client
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import onnx
import onnx.helper as oh
import psutil

from augurium.client import Client
from benchmarks.augurium_node import AuguriumNode
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports

SECONDS = 8.0
BULK_ROWS = 10_000_000
LINES = {"content-type": "application/x-ndjson"}
LINE = b'{"model":"shop","prediction_id":"%032x","name":"converted","value":%d,"at":%d.5}\n'


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.feedback", description=__doc__)
    parser.add_argument("--rows", type=int, default=BULK_ROWS, help="rows of the stream")
    rows = parser.parse_args().rows
    return print_and_save("feedback", lambda: _measured(rows))


def _measured(rows: int) -> dict[str, Any]:
    home, ports = BENCH / "augurium" / "feedback-home", free_ports()
    shutil.rmtree(home, ignore_errors=True)
    with (
        AuguriumNode(home, ports, 1),
        Client(f"http://127.0.0.1:{ports.other}", timeout_s=600) as client,
    ):
        client.register(_model(), name="shop")
        control = _control(home)
        found: dict[str, Any] = {
            f"posts of {size} rows by {senders}": _posts(ports.other, size, senders)
            for size, senders in ((1, 1), (1, 32), (1000, 1), (1000, 8))
        }
        before, cpu_s = _peak_mib(control), _cpu_s(control)
        found["stream"] = _stream(ports.other, rows) | {
            "control_cpu_s": round(_cpu_s(control) - cpu_s, 1),
            "control_peak_mib_before": before,
            "control_peak_mib": _peak_mib(control),
        }
        found["summary"] = _summary(client)
        found["control_peak_mib_after_summary"] = _peak_mib(control)
    return found


def _model() -> onnx.ModelProto:
    ends = [oh.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 2]) for name in "xy"]
    graph = oh.make_graph([oh.make_node("Neg", ["x"], ["y"])], "shop", ends[:1], ends[1:])
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)


def _control(home: Path) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "augurium.control" in words and any(str(home) in word for word in words):
            return process
    raise SystemExit("the control process was not found")


def _peak_mib(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _posts(port: int, size: int, senders: int) -> dict[str, float]:
    """Posts of so many rows, by so many senders at once."""
    end = time.perf_counter() + SECONDS
    with ThreadPoolExecutor(senders) as threads:
        times = list(threads.map(lambda sender: _sent(port, size, sender, end), range(senders)))
    took = [each for of_sender in times for each in of_sender]
    return {
        "rows_per_s": round(len(took) * size / SECONDS),
        "median_ms": round(median(took) * 1000, 2),
    }


def _sent(port: int, size: int, sender: int, end: float) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took: list[float] = []
    number = sender << 40
    while (began := time.perf_counter()) < end:
        body = b"".join(LINE % (number + place, 1, 1_767_225_600) for place in range(size))
        number += size
        began = time.perf_counter()
        connection.request("POST", "/api/v1/feedback", body, LINES)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        took.append(time.perf_counter() - began)
    connection.close()
    return took


def _stream(port: int, rows: int) -> dict[str, float]:
    """All rows in one request."""

    def body() -> Iterator[bytes]:
        for first in range(0, rows, 10_000):
            block = range(first, min(first + 10_000, rows))
            yield b"".join(LINE % (1 << 100 | place, place % 2, place) for place in block)

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1800)
    began = time.perf_counter()
    connection.request("POST", "/api/v1/feedback", body(), LINES, encode_chunked=True)
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - began
    connection.close()
    assert answer.status == 200, text
    return {"rows": rows, "seconds": round(took, 1), "rows_per_s": round(rows / took)}


def _summary(client: Client) -> dict[str, float]:
    began = time.perf_counter()
    (metric,) = client.feedback_summary("shop").metrics
    return {"outcomes": metric.outcomes, "seconds": round(time.perf_counter() - began, 1)}


if __name__ == "__main__":
    sys.exit(main())
