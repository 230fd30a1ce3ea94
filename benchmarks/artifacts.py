"""How long a large file takes to reach the store, beside `sha256sum` plus `cp` of the same file.

    python -m benchmarks.artifacts [--size-mb 1024] [--rounds 5] [--folder DIR]

Each round runs sha256sum, cp, cp with a sync, and an upload by the client to a control process,
in turn; the table has the medians. An upload is durable when it returns: the store syncs the file,
which cp does not, so both are shown. Memory is the largest RSS of the round.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings, StorageSettings

MB = 1_000_000
UPLOAD = """
import sys, time
from augurium.client import Client
import resource
with Client(sys.argv[1]) as client:
    started = time.perf_counter()
    client.upload(sys.argv[2])
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        file = folder / "model.bin"
        write_random(file, arguments.size_mb * MB)
        with control(folder / "home") as (url, process):
            rounds = [one_round(file, folder, url, process) for _ in range(arguments.rounds)]
    report(arguments.size_mb, rounds)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    return parser.parse_args()


def write_random(file: Path, size: int) -> None:
    with file.open("wb") as stream:
        while size > 0:
            stream.write(os.urandom(min(size, 8 * MB)))
            size -= 8 * MB
        os.fsync(stream.fileno())


@contextmanager
def control(home: Path, database_url: str = "") -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(
        node=NodeSettings(home=str(home), control_port=port),
        storage=StorageSettings(database_url=database_url),
    )
    node = NodeConfig(settings, ())
    node.home.create()
    node.home.config.write_bytes(msgspec.json.encode(node))
    command = [sys.executable, "-m", "augurium.control", str(node.home.config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        time.sleep(1)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def one_round(file: Path, folder: Path, url: str, process: psutil.Process) -> dict[str, float]:
    copy = folder / "copy.bin"
    found = {"sha256sum": timed(lambda: run("sha256sum", str(file)))}
    found["cp"] = timed(lambda: run("cp", str(file), str(copy)))
    copy.unlink()
    found["cp + sync"] = timed(lambda: copy_synced(file, copy))
    copy.unlink()
    with watched(process) as largest:
        seconds, client_kb = upload(url, file)
    found["upload"] = seconds
    found["client RSS"], found["control RSS"] = client_kb * 1024 / MB, largest() / MB
    # what is stored is stored again in the next round, under the same name
    shutil.rmtree(folder / "home" / "artifacts" / "sha256")
    return found


def copy_synced(file: Path, copy: Path) -> None:
    run("cp", str(file), str(copy))
    run("sync", str(copy))


def upload(url: str, file: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, url, str(file)], capture_output=True, text=True, check=True
    )
    seconds, rss_kb = map(float, re.findall(r"[\d.]+", done.stdout))
    return seconds, rss_kb


@contextmanager
def watched(process: psutil.Process) -> Iterator[Callable[[], int]]:
    """The largest RSS of a process while the block runs."""
    seen, over = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    yield lambda: max(seen)
    over.set()
    thread.join()


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def report(size_mb: int, rounds: list[dict[str, float]]) -> None:
    median = {key: statistics.median(found[key] for found in rounds) for key in rounds[0]}
    print(f"{size_mb} MB, median of {len(rounds)} rounds\n")
    print("| | seconds | MB/s |\n|---|---|---|")
    for what in ("sha256sum", "cp", "cp + sync", "upload"):
        print(f"| {what} | {median[what]:.2f} | {size_mb / median[what]:.0f} |")
    for copy in ("cp", "cp + sync"):
        ratios = [found["upload"] / (found["sha256sum"] + found[copy]) for found in rounds]
        print(f"\nupload / (sha256sum + {copy}): {statistics.median(ratios):.2f}")
    print(
        f"\nlargest RSS: client {median['client RSS']:.0f} MB, control "
        f"{median['control RSS']:.0f} MB"
    )
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
