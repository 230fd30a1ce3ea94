"""A child of an import, whatever it does: real processes that hang, allocate, crash and print."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from augurium.core.files import remove_folder
from augurium.importing.sandbox import Budget, End, Ending, run_child

Run = Callable[..., Ending]
GIBIBYTE = 1024**3


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs a Python script as a child, and clears what it left as an import does."""

    def start(
        script: str,
        seconds: float = 60.0,
        memory_bytes: int = GIBIBYTE,
        disk_bytes: int = GIBIBYTE,
    ) -> Ending:
        budget = Budget(time.monotonic() + seconds, memory_bytes, disk_bytes)
        return run_child([sys.executable, "-c", script], tmp_path, budget)

    yield start
    # nested deeper than pytest itself could remove
    remove_folder(tmp_path)


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
    assert run(script, seconds=10.0).end is End.TIMED_OUT
    assert ended(int((tmp_path / "pid").read_text()))


def test_what_a_child_leaves_running_ends_with_it(run: Run, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, pathlib\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('pid').write_text(str(other.pid))"
    )
    assert run(script).end is End.EXITED
    assert ended(int((tmp_path / "pid").read_text()))


DAEMON = (
    "import os, time, pathlib\n"
    "if not os.fork():\n"
    "    os.setsid()\n"
    "    if os.fork():\n"
    "        os._exit(0)\n"
    "    held = bytearray(b'x' * {held})\n"
    "    pathlib.Path('new').write_text(str(os.getpid()))\n"
    "    os.rename('new', 'pid')\n"
    "    time.sleep(600)\n"
    "while not os.path.exists('pid'): time.sleep(0.01)\n"
)


def test_what_leaves_the_session_of_a_child_ends_with_it(run: Run, tmp_path: Path) -> None:
    assert run(DAEMON.format(held=1)).end is End.EXITED
    assert ended(int((tmp_path / "pid").read_text()))


def test_what_leaves_the_session_of_a_child_that_hangs_ends_with_it(
    run: Run, tmp_path: Path
) -> None:
    ending = run(DAEMON.format(held=1) + "time.sleep(600)", seconds=10.0)
    assert ending.end is End.TIMED_OUT
    assert ended(int((tmp_path / "pid").read_text()))


def test_the_memory_of_what_leaves_the_session_counts(run: Run) -> None:
    script = DAEMON.format(held=300_000_000) + "time.sleep(600)"
    assert run(script, memory_bytes=250_000_000).end is End.OUT_OF_MEMORY


def test_nothing_is_left_when_the_server_that_started_a_child_dies(tmp_path: Path) -> None:
    server = (
        "import sys, time, pathlib\n"
        "from augurium.importing.sandbox import Budget, run_child\n"
        f"script = {DAEMON.format(held=1) + 'time.sleep(600)'!r}\n"
        "budget = Budget(time.monotonic() + 600, 10**9, 10**9)\n"
        f"run_child([sys.executable, '-c', script], pathlib.Path({str(tmp_path)!r}), budget)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", server])
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_child_that_takes_too_much_memory_is_stopped(run: Run) -> None:
    script = "import time\nheld = bytearray(b'x' * 400_000_000)\ntime.sleep(600)"
    ending = run(script, memory_bytes=200_000_000)
    assert ending.end is End.OUT_OF_MEMORY
    assert ending.peak_memory_bytes > 200_000_000


def test_memory_counts_over_all_processes_of_a_child(run: Run) -> None:
    script = "import os, time\nos.fork()\nheld = bytearray(b'x' * 150_000_000)\ntime.sleep(600)"
    assert run(script, memory_bytes=250_000_000).end is End.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "script",
    [
        "open(f'file-{n}', 'wb').write(bytes(1_000_000))",
        "open(f'empty-{n}', 'wb')",
        "os.mkdir('deep' * 50); os.chdir('deep' * 50)",
        "os.mkdir(f'deep-{n}'); os.chdir(f'deep-{n}'); open('file', 'wb').write(bytes(1_000_000))",
    ],
)
def test_a_child_that_fills_the_disk_with_many_files_is_stopped(run: Run, script: str) -> None:
    program = f"import os, time\nfor n in range(20_000): {script}; time.sleep(2e-4)"
    assert run(f"{program}\ntime.sleep(600)", disk_bytes=50_000_000).end is End.OUT_OF_DISK


@pytest.mark.parametrize(
    "put", ["os.mkfifo('child.log')", "os.symlink('/etc/passwd', 'child.log')", "0"]
)
def test_what_a_child_puts_in_place_of_its_log_is_not_read(run: Run, put: str) -> None:
    ending = run(f"import os\nprint('said', flush=True)\nos.unlink('child.log')\n{put}")
    assert (ending.end, ending.log_tail) == (End.EXITED, "")


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


def confined(script: str, cpu_s: int = 60) -> str:
    """A script that runs behind the limits a child of an import puts on itself."""
    return (
        "from augurium.importing.confinement import confine\n"
        "from augurium.importing.job import Confinement\n"
        f"cut = confine(Confinement(file_bytes=1_000_000, cpu_s={cpu_s}))\n"
    ) + script


def test_a_confined_child_cannot_fill_the_disk(run: Run, tmp_path: Path) -> None:
    ending = run(confined("open('big', 'wb').write(bytes(2_000_000))"))
    assert "File too large" in ending.log_tail
    assert (tmp_path / "big").stat().st_size <= 1_000_000


def test_a_confined_child_cannot_burn_cpu_for_ever(run: Run) -> None:
    assert run(confined("while True: pass", cpu_s=1)).end is End.TIMED_OUT


def test_a_confined_child_is_polite_and_leaves_no_core(run: Run) -> None:
    script = "import os, resource\nprint(os.nice(0), resource.getrlimit(resource.RLIMIT_CORE))"
    niceness, _, core = run(confined(script)).log_tail.partition(" ")
    assert int(niceness) >= min(19, os.nice(0) + 10)
    assert core == "(0, 0)"


def test_a_confined_child_is_cut_off_from_what_it_says(run: Run, tmp_path: Path) -> None:
    work, secret = tmp_path / "import" / "work", tmp_path / "registry.db"
    work.mkdir(parents=True)
    secret.write_text("secret")
    given = tmp_path / "given"
    given.write_text("rows")
    listener = socket.create_server(("127.0.0.1", 0))
    private = socket.socket(socket.AF_UNIX)
    private.bind(str(tmp_path / "link.sock"))
    private.listen()
    script = (
        "import json, os, signal, socket\n"
        "from augurium.importing.confinement import confine\n"
        "from augurium.importing.job import Confinement\n"
        f"given = {str(given)!r}\n"
        "isolation = confine(Confinement(file_bytes=1000, cpu_s=60, readable=(given,)))\n"
        "def succeeds(action):\n"
        "    try: action()\n"
        "    except OSError: return False\n"
        "    return True\n"
        "print(json.dumps([*isolation] + [succeeds(action) for action in (\n"
        f"    lambda: socket.create_connection({listener.getsockname()!r}, 1),\n"
        f"    lambda: socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'link.sock')!r}),\n"
        f"    lambda: open({str(secret)!r}),\n"
        f"    lambda: open({str(tmp_path / 'new')!r}, 'w'),\n"
        f"    lambda: os.rename({str(secret)!r}, 'mine'),\n"
        f"    lambda: open(given, 'a'),\n"
        "    lambda: os.listdir('/proc/1'),\n"
        "    lambda: open(given),\n"
        "    lambda: open('own', 'w'),\n"
        "    lambda: __import__('numpy'),\n"
        ")]))"
    )
    budget = Budget(time.monotonic() + 60, GIBIBYTE, GIBIBYTE)
    with listener, private:
        ending = run_child([sys.executable, "-c", script], work, budget)
    cut, confined, *found = json.loads(ending.log_tail)
    files = [not confined] * 5
    assert found == [not cut, not cut, *files, True, True, True]
    assert secret.read_text() == "secret"
