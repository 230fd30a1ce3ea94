"""How long what waits will take: by the rate at which the queue drains, and by what runs took.

The rate is measured only while there is more in the queue than one run takes. That is the rate that
matters for those who wait: full batches, beside whatever else the machine does at that time.
"""

from augurium.serving.executor import CostModel

SMOOTHING = 0.2


class DrainRate:
    """Estimates for one queue, of which a run takes at most `max_batch_rows`. Times in seconds."""

    def __init__(self, max_batch_rows: int) -> None:
        self.row_s = 0.0
        self._max_batch_rows = max_batch_rows
        self._cost = CostModel()
        self._rows = 0.0
        self._seconds = 0.0
        self._taken = 0
        self._since: float | None = None

    def took(self, rows: int, now: float, left_some: bool) -> None:
        """A batch left the queue, and others stayed in it or not. One that left none and follows
        one that left none need not be told.

        Rows and seconds are smoothed apart: two batches may leave at the same time.
        """
        if self._since is not None:
            self._rows += SMOOTHING * (self._taken - self._rows)
            self._seconds += SMOOTHING * (now - self._since - self._seconds)
            if self._rows > 0:
                self.row_s = self._seconds / self._rows
        self._taken = rows
        self._since = now if left_some else None

    def ran(self, rows: int, seconds: float) -> None:
        """A run of so many rows took so long."""
        self._cost.observe(rows, seconds)

    @property
    def single_s(self) -> float:
        """What a run of one row takes, which is about what every run takes before its rows; a
        quarter of the shortest run where single rows were not seen.
        """
        return self._cost.known_s(1) or self._cost.shortest_s() / 4

    def least_s(self, ahead_rows: int, rows: int) -> float:
        """How long until some rows are answered that have others before them, at least."""
        wait_s = ahead_rows * self.row_s if ahead_rows >= self._max_batch_rows else 0.0
        return wait_s + self._cost.known_s(min(ahead_rows + rows, self._max_batch_rows))

    def wait_s(self, rows: int) -> float:
        """How long it takes to run so many: rather too long where it is not known."""
        if rows > self._max_batch_rows and self.row_s:
            return rows * self.row_s
        batches = max(1.0, rows / self._max_batch_rows)
        expected_s = self._cost.expected_s(min(rows, self._max_batch_rows))
        # nothing is known of runs that are too short to be measured
        return 0.0 if expected_s == float("inf") else batches * expected_s
