"""Who may join the queue of a version: whoever can be answered in time, as far as anyone can tell.

Estimates are on the short side: to refuse somebody who could have been answered is worse than to
let somebody wait in vain, who is dropped at the deadline.
"""

from augurium.core.errors import DeadlineExceeded, Overloaded
from augurium.core.priority import Priority
from augurium.serving.drain_rate import DrainRate
from augurium.serving.queue_delay import QueueDelay

# where a single row takes long, so many of these runs may wait: at most an eighth of a run is then
# what it takes before its rows, and short batches cost no more of the rate than that
STANDING_RUNS = 8
# of the delay at which ordinary requests are refused
SHARES = {Priority.CRITICAL: 2.0, Priority.NORMAL: 1.0, Priority.BATCH: 0.5}
SHORTEST_RETRY_S = 0.05


class Admission:
    """Admits to one queue, of which a run takes at most `max_batch_rows`. Times are in seconds."""

    def __init__(self, target_s: float, interval_s: float, max_batch_rows: int) -> None:
        self.delay = QueueDelay(target_s, interval_s)
        self.rate = DrainRate(max_batch_rows)
        self._max_batch_rows = max_batch_rows

    @property
    def overloaded(self) -> bool:
        """Whether more is asked than can be answered, and has been for a while."""
        return self.delay.overloaded

    @property
    def limit_s(self) -> float:
        """The queue delay above which ordinary requests are refused while it is overloaded."""
        return max(self.delay.target_s, STANDING_RUNS * self.rate.single_s)

    @property
    def limit_rows(self) -> int:
        """What may stay in the queue when overload begins."""
        if not self.rate.row_s:
            return self._max_batch_rows
        return max(1, int(self.limit_s / self.rate.row_s))

    def check(
        self, ahead_rows: int, rows: int, now: float, deadline: float, priority: Priority
    ) -> None:
        """Raises Overloaded for who cannot be answered by the deadline because of those ahead,
        and, while it is overloaded, for who would wait too long; DeadlineExceeded for who could not
        be answered by then if it were alone.

        Asked for who has `rows` and `ahead_rows` before it, while something runs or more waits than
        the next run takes: what does nothing is tried, whatever it took before.
        """
        left_s = deadline - now
        answered_s = self.rate.least_s(ahead_rows, rows)
        if answered_s > left_s > 0:
            if self.rate.least_s(0, rows) > left_s:
                raise DeadlineExceeded("Request timeout expired")
            raise Overloaded(
                f"the answer would take about {answered_s * 1000:.0f} ms, and"
                f" {left_s * 1000:.0f} ms are left; try again later, or allow more time",
                max(SHORTEST_RETRY_S, answered_s - left_s),
                "deadline",
            )
        if self.delay.overloaded:
            wait_s = self.rate.wait_s(ahead_rows) if ahead_rows else 0.0
            if wait_s > self.limit_s * SHARES[priority]:
                self.delay.refused(now)
                raise self.too_long(wait_s)

    def too_long(self, wait_s: float) -> Overloaded:
        """What is said to who would wait too long, or has."""
        return Overloaded(
            f"requests wait longer than the {self.delay.target_s * 1000:.0f} ms that are meant;"
            " try again later",
            max(SHORTEST_RETRY_S, self.delay.interval_s, wait_s - self.delay.target_s),
            "queue_delay",
        )
