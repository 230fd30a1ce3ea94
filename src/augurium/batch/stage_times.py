"""How long the stages of a partition took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STAGES = ("read", "prepare", "predict", "encode", "store")


class StageTimes:
    """Seconds by stage. Every stage is timed by one thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._clock = clock

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """What the block takes counts to the stage."""
        began = self._clock()
        try:
            yield
        finally:
            self.seconds[stage] += self._clock() - began
