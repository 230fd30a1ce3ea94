"""A deadline: one for a whole call, with all its attempts and the pauses between them."""

import time
from collections.abc import Callable

from augurium.core.errors import DeadlineExceeded

Clock = Callable[[], float]


class Deadline:
    """`total_s` seconds from now, on the monotonic clock."""

    __slots__ = ("_at", "_clock", "total_s")

    def __init__(self, total_s: float, clock: Clock = time.monotonic) -> None:
        self.total_s = total_s
        self._clock = clock
        self._at = clock() + total_s

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._at - self._clock())

    def check(self, where: str) -> float:
        """The seconds that are left. Raises DeadlineExceeded when there are none."""
        left_s = self.left_s
        if not left_s:
            raise self.exceeded(where)
        return left_s

    def exceeded(self, where: str) -> DeadlineExceeded:
        """The error of a deadline that passed before `where` answered."""
        return DeadlineExceeded(
            f"{where} did not answer within {self.total_s:g} s; give it more time or look at its "
            "log"
        )
