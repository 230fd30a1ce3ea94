"""Stores and registers two versions in a child that is killed before its n-th call to the disk.

For n = 1, 2, ... until the child is through. After each kill another child opens what is left,
tells what it finds, and registers once more. Prints what was told. Argument: an empty folder.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from augurium.core.clock import SystemClock
from augurium.core.files import sha256_of_file
from augurium.core.signature import Signature
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import VersionDraft
from augurium.registry.sql_registry import SqlRegistry

# of the operating system, of files, of SQLite and of obstore
DISK_CALLS = frozenset(
    {"commit", "connect", "execute", "flush", "fsync", "mkdir", "open", "rename", "unlink", "write"}
)


class Home:
    """A registry and its artifacts in one folder."""

    def __init__(self, folder: Path) -> None:
        self.artifacts = ObstoreArtifacts(folder / "artifacts")
        engine = open_database(sqlite_url(folder / "registry.db"))
        self.registry = SqlRegistry(engine, SystemClock())

    def register(self, content: bytes) -> int:
        artifact = self.artifacts.put([content[:1000], content[1000:]], 10_000)
        draft = VersionDraft(
            framework="onnx",
            framework_version="1.21",
            runtime="onnx",
            source=artifact,
            source_name="model.onnx",
            servable=artifact,
            signature=Signature(inputs=(), outputs=()),
        )
        return self.registry.register("fraud", draft, "victim").version


class Killer:
    """A profiler that kills its own process before the n-th call that touches the disk."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in DISK_CALLS:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Runs `work` in a fork; returns the signal that ended it, or 0, and what `work` returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit("a child failed; its error stands above")
    return (os.WTERMSIG(status), None) if os.WIFSIGNALED(status) else (0, json.loads(answer))


def victim(folder: Path, calls: int) -> None:
    sys.setprofile(Killer(calls))
    home = Home(folder)
    home.register(b"1" * 5000)
    home.register(b"2" * 5000)
    sys.setprofile(None)


def survivor(folder: Path) -> dict[str, Any]:
    home = Home(folder)
    leftovers = home.artifacts.sweep_staging()
    models = home.registry.models()
    versions = home.registry.versions("fraud") if models else []
    digests = [version.source.digest for version in versions]
    report = {
        "numbers": [version.version for version in versions],
        "latest": models[0].latest_version if models else 0,
        "revision": home.registry.revision(),
        "audited": [entry.version for entry in home.registry.audit()],
        "whole": [sha256_of_file(home.artifacts.local_path(d)) == d for d in digests],
        "leftovers": leftovers,
        "next": home.register(b"3" * 5000),
        "staged": len(list((folder / "artifacts" / "staging").iterdir())),
    }
    home.registry.close()
    return report


def main(folder: Path) -> None:
    reports: list[dict[str, Any]] = []
    killed = True
    # what a first opening imports is imported now: those are no steps of the work
    warm_up = folder / "warm-up"
    warm_up.mkdir()
    Home(warm_up).registry.close()
    while killed:
        home = folder / str(len(reports))
        home.mkdir()
        ended_by, _ = in_child(partial(victim, home, len(reports) + 1))
        killed = ended_by == signal.SIGKILL
        _, report = in_child(partial(survivor, home))
        reports.append(report | {"killed": killed})
    sys.stdout.write(json.dumps(reports))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
