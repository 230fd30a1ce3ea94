"""A child of an import, whatever it does: real processes that hang, allocate, crash and print."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from augurium.importing.sandbox import Budget, End, Ending, run_child

Run = Callable[..., Ending]
GIBIBYTE = 1024**3


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a Python script as a child."""

    def start(script: str, seconds: float = 60.0, memory_bytes: int = GIBIBYTE) -> Ending:
        budget = Budget(time.monotonic() + seconds, memory_bytes)
        return run_child([sys.executable, "-c", script], tmp_path, budget)

    return start


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def ended(pid: int) -> bool:
    """A killed process is gone soon, not at once."""
    for _ in range(200):
        if not is_running(pid):
            return True
        time.sleep(0.05)
    return False


def test_a_child_that_ends_is_told_from_one_that_is_ended(run: Run) -> None:
    assert run("raise SystemExit(3)").end is End.EXITED


def test_a_child_that_hangs_is_stopped_with_all_it_started(run: Run, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time, pathlib\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('pid').write_text(str(other.pid))\n"
        "time.sleep(600)"
    )
    assert run(script, seconds=2.0).end is End.TIMED_OUT
    assert ended(int((tmp_path / "pid").read_text()))


def test_what_a_child_leaves_running_ends_with_it(run: Run, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, pathlib\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('pid').write_text(str(other.pid))"
    )
    assert run(script).end is End.EXITED
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_child_that_takes_too_much_memory_is_stopped(run: Run) -> None:
    script = "import time\nheld = bytearray(b'x' * 400_000_000)\ntime.sleep(600)"
    ending = run(script, memory_bytes=200_000_000)
    assert ending.end is End.OUT_OF_MEMORY
    assert ending.peak_memory_bytes > 200_000_000


def test_memory_counts_over_all_processes_of_a_child(run: Run) -> None:
    script = "import os, time\nos.fork()\nheld = bytearray(b'x' * 150_000_000)\ntime.sleep(600)"
    assert run(script, memory_bytes=250_000_000).end is End.OUT_OF_MEMORY


def test_the_signal_that_ended_a_child_is_named(run: Run) -> None:
    ending = run("import ctypes; ctypes.string_at(0)")
    assert (ending.end, ending.signal) == (End.SIGNALLED, "SIGSEGV")


def test_only_the_end_of_what_a_child_prints_is_kept(run: Run) -> None:
    ending = run("print('\\x00garbage\\n' * 100_000); print('the last words')")
    assert ending.log_tail.endswith("the last words")
    assert len(ending.log_tail) < 5000


def test_a_child_sees_no_secrets_and_a_private_home(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGURIUM_KEY", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    ending = run("import os; print(dict(os.environ), os.getcwd())")
    assert "hunter2" not in ending.log_tail
    assert f"'HOME': '{tmp_path}'" in ending.log_tail
    assert ending.log_tail.endswith(str(tmp_path))
    assert "'OMP_NUM_THREADS': '1'" in ending.log_tail


def confined(script: str) -> str:
    """A script that runs behind the limits a child of an import puts on itself."""
    return (
        "from augurium.importing.confinement import confine\n"
        "from augurium.importing.job import Confinement\n"
        "cut = confine(Confinement(file_bytes=1_000_000, cpu_s=1))\n"
    ) + script


def test_a_confined_child_cannot_fill_the_disk(run: Run, tmp_path: Path) -> None:
    ending = run(confined("open('big', 'wb').write(bytes(2_000_000))"))
    assert "File too large" in ending.log_tail
    assert (tmp_path / "big").stat().st_size <= 1_000_000


def test_a_confined_child_cannot_burn_cpu_for_ever(run: Run) -> None:
    assert run(confined("while True: pass")).end is End.TIMED_OUT


def test_a_confined_child_is_polite_and_leaves_no_core(run: Run) -> None:
    script = "import os, resource\nprint(os.nice(0), resource.getrlimit(resource.RLIMIT_CORE))"
    niceness, _, core = run(confined(script)).log_tail.partition(" ")
    assert int(niceness) >= min(19, os.nice(0) + 10)
    assert core == "(0, 0)"


def test_a_confined_child_reaches_no_network_where_it_says_so(run: Run) -> None:
    script = (
        "import socket\n"
        "server = socket.socket(); server.bind(('127.0.0.1', 0))\n"
        "print(cut, sorted(name for _, name in socket.if_nameindex()))"
    )
    ending = run(confined(script))
    assert ending.end is End.EXITED
    assert ending.log_tail == "True ['lo']" or ending.log_tail.startswith("False [")
