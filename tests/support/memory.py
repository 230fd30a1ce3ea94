"""How much memory another process takes while something is done."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.002


def peak_bytes(measured: Callable[[], int], action: Callable[[], T]) -> tuple[int, T]:
    """The most that was `measured` during `action`, and what that gave."""
    peak = measured()
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(POLL_S):
            peak = max(peak, measured())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        found = action()
    finally:
        ended.set()
        watching.join()
    return peak, found
