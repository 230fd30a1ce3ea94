"""Repeating what may fail for a moment: a few times, after growing pauses of random length."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 3.0


def repeated(
    work: Callable[[], Result], retries: int, retryable: tuple[type[Exception], ...]
) -> Result:
    """Calls `work` until it succeeds, `retries` times again at most; raises its last error.

    The pauses are random between nothing and a bound that doubles ("full jitter").
    """
    for attempt in range(retries):
        try:
            return work()
        except retryable:
            longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
            time.sleep(random.uniform(0, longest_s))  # noqa: S311
    return work()
