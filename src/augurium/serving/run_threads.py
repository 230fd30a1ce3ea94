"""Threads for runs that take long: they give way to the event loop, whose turns are short.

A loop that has something to do must not wait until a run of another model has used up its time on
the processor. Source: Linux, setpriority(2): a thread has a priority of its own, by its number.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

# a third of the loop's share of a processor that both want
LOWER_BY = 5
LOWEST = 19


def run_threads(count: int, name: str) -> ThreadPoolExecutor:
    """A pool of as many threads at most. What starts processes must not run there: they would
    inherit the priority.
    """
    return ThreadPoolExecutor(count, name, initializer=_give_way)


def _give_way() -> None:
    if sys.platform != "linux":
        # where it would be that of the whole process
        return
    thread = threading.get_native_id()
    lowered = min(LOWEST, os.getpriority(os.PRIO_PROCESS, thread) + LOWER_BY)
    os.setpriority(os.PRIO_PROCESS, thread, lowered)
