"""Whether a process stands still, of real ones."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from augurium.serving.standstill import STILL_S, Standstill, used_when_asleep_s
from tests.integration.serving.conftest import until

SLEEPS = "import time; print(flush=True); time.sleep(600)"
COMPUTES = "print(flush=True)\nwhile True: pass"
HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {COMPUTES!r}])"


@contextmanager
def running(code: str) -> Iterator[int]:
    """A Python process that has begun."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, process_group=0
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=True)


def looks(pid: int, after: float = 0.0) -> Callable[[], bool]:
    standstill = Standstill()
    return lambda: standstill.look(pid, after, time.monotonic())


def test_a_process_that_sleeps_stands_still_when_it_was_seen_so_for_a_while() -> None:
    with running(SLEEPS) as pid:
        assert until(lambda: used_when_asleep_s(pid) is not None)
        look = looks(pid)
        assert not look(), "the first look says nothing"
        assert until(look)


def test_what_was_seen_before_a_sign_of_life_counts_no_more() -> None:
    with running(SLEEPS) as pid:
        standstill = Standstill()
        assert until(lambda: standstill.look(pid, 0.0, time.monotonic()))
        now = time.monotonic()
        assert not standstill.look(pid, now, now + STILL_S)
        assert standstill.look(pid, now, now + 2 * STILL_S)


def test_a_process_that_waits_for_a_child_that_computes_does_not_stand_still() -> None:
    with running(HAS_A_CHILD) as pid:
        look = looks(pid)
        ended = time.monotonic() + 4 * STILL_S
        while time.monotonic() < ended:
            assert not look()
            time.sleep(0.02)


def test_a_process_that_is_gone_does_not_stand_still() -> None:
    with running(SLEEPS) as pid:
        pass
    assert used_when_asleep_s(pid) is None
