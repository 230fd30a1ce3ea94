"""Engines and batch jobs on processors of their own, shown with processes that take time."""

import asyncio
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from augurium.batch.own_processors import keep_apart
from augurium.core.home import Home
from augurium.core.processors import USABLE, kept_on
from augurium.node import processor_split
from augurium.node.processor_split import ProcessorSplit, needed_for, split_of

# a third of a processor, more or less
BUSY = """
import os, subprocess, sys, time
for child in sys.argv[1:]:
    subprocess.Popen([sys.executable, "-c", child])
while True:
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        pass
    time.sleep(0.01)
"""
PLACED = "import os, time; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}); time.sleep(99)"
ANYWHERE = "import time; time.sleep(99)"
# says when it has started, which takes time of a processor
QUIET = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(99)"
SPLIT = split_of(USABLE, needed_for(0.3, len(USABLE)))
PLACE = frozenset({max(USABLE)})


class Machine:
    """A node's split of the processors, looked at when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.create()
        self.engines: list[subprocess.Popen[bytes]] = []
        self.split = ProcessorSplit(self.home, lambda: [each.pid for each in self.engines])
        self._job: IO[str] | None = None

    def engine(self, code: str, *children: str) -> int:
        self.engines.append(subprocess.Popen([sys.executable, "-c", code, *children]))
        return self.engines[-1].pid

    def begin_job(self) -> None:
        self._job = self.home.batch_lock.open("w")
        fcntl.flock(self._job, fcntl.LOCK_SH)

    def end_job(self) -> None:
        if self._job is not None:
            self._job.close()

    def until(self, holds: Callable[[], bool]) -> None:
        """Looks as often as the node does, until something is so."""
        until(holds, lambda: self.look(1))

    def look(self, times: int) -> None:
        for _ in range(times):
            time.sleep(processor_split.INTERVAL_S)
            self.split.look()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.end_job()
    for engine in machine.engines:
        for child in children_of(engine.pid):
            os.kill(child, 9)
        engine.kill()
        engine.wait()


def children_of(process: int) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def test_engines_get_processors_of_their_own_while_a_job_runs(machine: Machine) -> None:
    engine = machine.engine(BUSY, PLACED, ANYWHERE)
    machine.until(lambda: len(children_of(engine)) == 2)
    placed, anywhere = children_of(engine)
    machine.until(lambda: kept_on(placed) == PLACE)
    machine.look(4)
    assert kept_on(engine) == kept_on(anywhere) == USABLE

    machine.begin_job()
    machine.until(lambda: kept_on(engine) == SPLIT.online)
    machine.until(lambda: kept_on(anywhere) == SPLIT.online)
    assert kept_on(placed) == PLACE

    machine.end_job()
    machine.until(lambda: kept_on(engine) == kept_on(anywhere) == USABLE)
    assert kept_on(placed) == PLACE


def test_engines_that_nobody_asks_leave_all_processors_to_jobs(
    machine: Machine, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    engine = machine.engine(QUIET, str(started))
    machine.until(started.exists)
    machine.begin_job()
    machine.look(2 * processor_split.INTERVALS)
    assert kept_on(engine) == USABLE


def test_predictions_keep_for_a_while_what_they_need_no_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = machine.engine(BUSY)
    machine.begin_job()
    # its start takes more than it needs later
    machine.until(lambda: kept_on(busy) == SPLIT.online)
    machine.engines[0].kill()
    quiet = machine.engine(ANYWHERE)
    machine.until(lambda: kept_on(quiet) == SPLIT.online)
    monkeypatch.setattr(processor_split, "CALM_S", 0.0)
    machine.until(lambda: kept_on(quiet) == USABLE)


def test_a_job_keeps_with_all_it_starts_to_what_is_left_to_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    script = (
        "import asyncio, subprocess, sys\n"
        "from pathlib import Path\n"
        "from augurium.batch.own_processors import keep_apart\n"
        "from augurium.core.home import Home\n"
        f"subprocess.Popen([sys.executable, '-c', {ANYWHERE!r}])\n"
        f"asyncio.run(keep_apart(Home(Path({str(home.path)!r}))))\n"
    )
    job = subprocess.Popen([sys.executable, "-c", script])
    try:
        until(lambda: bool(children_of(job.pid)) and home.batch_lock.exists())
        (worker,) = children_of(job.pid)
        for content, expected in [
            (f"[{max(USABLE)}]", PLACE),
            ("[", USABLE),
            (f"[{max(USABLE)}]", PLACE),
            ("[100000]", USABLE),
        ]:
            home.batch_processors.write_text(content)
            until(lambda: kept_on(job.pid) == kept_on(worker) == expected)  # noqa: B023
        with home.batch_lock.open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(worker, 9)
        job.kill()
        job.wait()
    # whoever kills a job frees the processors
    with home.batch_lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_job_on_a_node_that_splits_nothing_uses_all(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    with suppress(TimeoutError):
        asyncio.run(asyncio.wait_for(keep_apart(home), 0.6))
    assert kept_on(os.getpid()) == USABLE


def until(holds: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
    give_up_at = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
        meanwhile()
