"""What a file that runs code when it is loaded can do, where that is allowed: nothing outside."""

import json
import os
import pickle
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from augurium.core.errors import AuguriumError
from augurium.core.settings import ImportSettings
from augurium.importing.confinement import Isolation
from augurium.importing.sandbox import Budget, run_child
from tests.integration.importing.conftest import Import

LIMITS = ImportSettings(timeout_s=600, allow_code=True)
ATTEMPTS = """
import ctypes, json, os, signal, socket, time
from pathlib import Path

def attempt(action):
    try:
        action()
    except OSError as error:
        return error.strerror or str(error)
    return "done"

def shared_memory():
    # IPC_PRIVATE, IPC_CREAT and modes
    segment = ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600)
    if segment < 0:
        raise OSError(ctypes.get_errno(), "refused")
    ctypes.CDLL(None).shmctl(segment, 0, None)

found = {
    "read the registry": attempt(lambda: open(SECRET).read()),
    "write the registry": attempt(lambda: open(SECRET, "a")),
    "replace the registry": attempt(lambda: os.replace("mine", SECRET)),
    "link the registry": attempt(lambda: os.link(SECRET, "linked")),
    "write beside it": attempt(lambda: open(SECRET + ".new", "w")),
    "read the environment of the server": attempt(lambda: open(f"/proc/{SERVER}/environ").read()),
    "read the memory of the server": attempt(lambda: open(f"/proc/{SERVER}/mem", "rb").read(1)),
    "end the server": attempt(lambda: os.kill(SERVER, 0)),
    "call by TCP": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), 1)),
    "take memory of no process": attempt(lambda: os.memfd_create("hidden")),
    "take shared memory": attempt(lambda: shared_memory()),
    "call by a socket of the node": attempt(lambda: socket.socket(socket.AF_UNIX).connect(LINK)),
}
Path("found.json").write_text(json.dumps(found))
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    Path("new").write_text(str(os.getpid()))
    os.rename("new", "daemon")
    time.sleep(600)
while not Path("daemon").exists():
    time.sleep(0.01)
"""


class Hostile:
    """A pickle that runs a program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __reduce__(self) -> Any:
        return exec, (self._program, {})


@pytest.fixture
def walls(tmp_path: Path) -> Isolation:
    """What this kernel lets a process cut itself off from."""
    script = (
        "from augurium.importing.confinement import confine\n"
        "from augurium.importing.job import Confinement\n"
        "print(*map(int, confine(Confinement(file_bytes=1000, cpu_s=60))))"
    )
    budget = Budget(time.monotonic() + 60, 1024**3, 1024**3)
    folder = tmp_path / "walls" / "work"
    folder.mkdir(parents=True)
    said = run_child([sys.executable, "-c", script], folder, budget).log_tail
    return Isolation(*(bool(int(word)) for word in said.split()))


def reached(report: Path, walls: Isolation) -> list[str]:
    """What was done in spite of the walls that stand here."""
    found = json.loads(report.read_text())
    assert len(found) == 12
    held = [
        what
        for what in found
        if (walls.network_cut if what.startswith(("call", "take")) else walls.file_system_confined)
    ]
    return [what for what in held if found[what] == "done"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """The attempts, with real things to aim at."""
    secret, link = tmp_path / "registry.db", tmp_path / "link.sock"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as private:
        private.bind(str(link))
        private.listen()
        aims = {"SECRET": str(secret), "LINK": str(link), "SERVER": os.getpid()}
        aims["PORT"] = server.getsockname()[1]
        yield "\n".join(f"{name} = {aim!r}" for name, aim in aims.items()) + ATTEMPTS


def test_a_pickle_reaches_nothing_and_leaves_nothing(
    import_content: Import, program: str, walls: Isolation, tmp_path: Path
) -> None:
    with pytest.raises(AuguriumError):
        import_content(pickle.dumps(Hostile(program)), "model.pkl", limits=LIMITS)
    (report,) = (tmp_path / "work").rglob("found.json")
    assert reached(report, walls) == []
    assert ended(int((report.parent / "daemon").read_text()))


def test_a_function_reaches_nothing_either(
    import_content: Import, program: str, walls: Isolation, tmp_path: Path
) -> None:
    table = {"columns": [{"name": "x", "values": [1, 2, 3]}]}
    with pytest.raises(AuguriumError):
        import_content(
            pickle.dumps(Hostile(program)),
            "function.cloudpickle",
            table=json.dumps(table).encode(),
            limits=LIMITS,
        )
    reports = list((tmp_path / "work").rglob("found.json"))
    assert reports
    for report in reports:
        assert reached(report, walls) == []
        assert ended(int((report.parent / "daemon").read_text()))


def ended(pid: int) -> bool:
    for _ in range(200):
        with suppress(OSError):
            os.kill(pid, 0)
            time.sleep(0.02)
            continue
        return True
    return False
