"""The priority of threads that run models."""

import os
import subprocess
import sys
import threading

import pytest

from augurium.serving.run_threads import LOWER_BY, run_threads


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux")
def test_threads_that_run_models_give_way_to_those_that_are_there() -> None:
    before = priority()
    with run_threads(1, "run") as threads:
        found = threads.submit(priority).result()
    assert found == min(19, before + LOWER_BY)
    assert priority() == before


def test_a_process_that_cannot_give_way_any_further_runs_models() -> None:
    code = (
        "from augurium.serving.run_threads import run_threads\n"
        "print(run_threads(1, 'run').submit(lambda: 'ran').result())"
    )
    command = ["nice", "-n", "19", sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "ran\n"
