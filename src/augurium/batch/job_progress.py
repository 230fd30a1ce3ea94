"""How far a job is: what is committed, and what its workers are at."""

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from augurium.batch.partition import PartitionResult
from augurium.batch.worker_messages import Counted
from augurium.core.clock import Clock
from augurium.registry.batch_records import BatchProgress

# the rate is that of so many seconds
WINDOW_S = 10.0
N = TypeVar("N", int, float)
NOTHING = Counted(0, 0, 0, {})


class JobProgress:
    """Rows of a job, which has `rows` in all, None if only reading tells."""

    def __init__(self, rows: int | None, workers: int, clock: Clock) -> None:
        self._rows = rows
        self._workers = workers
        self._clock = clock
        self._committed = NOTHING
        self._running: dict[int, Counted] = {}
        self._stage_s: dict[str, float] = {}
        self._readings: deque[tuple[float, int]] = deque()

    def commit(self, result: PartitionResult) -> None:
        """A partition is done."""
        self._running.pop(result.number, None)
        counted = Counted(
            result.read_rows, result.written_rows, result.filtered_rows, result.rejected
        )
        self._committed = _sum([self._committed, counted])
        self._stage_s = _added(self._stage_s, result.stage_s)

    def runs(self, number: int, counted: Counted) -> None:
        """A partition is so far."""
        self._running[number] = counted

    def drop(self, number: int) -> None:
        """A partition begins again."""
        self._running.pop(number, None)

    @property
    def began(self) -> bool:
        """Whether anything is known of any row."""
        return bool(self._running) or self._committed is not NOTHING

    @property
    def counted(self) -> Counted:
        """All rows so far."""
        return _sum([self._committed, *self._running.values()])

    @property
    def rejected(self) -> int:
        """How many rows were set aside so far."""
        return sum(self.counted.rejected.values())

    def now(self) -> BatchProgress:
        """As it is told."""
        counted = self.counted
        rate = self._rate(counted.read_rows)
        left = None if self._rows is None else max(0, self._rows - counted.read_rows)
        return BatchProgress(
            read_rows=counted.read_rows,
            written_rows=counted.written_rows,
            filtered_rows=counted.filtered_rows,
            rejected=counted.rejected,
            rows_per_s=round(rate, 1),
            eta_s=round(left / rate, 1) if rate and left is not None else None,
            stage_s={stage: round(seconds, 3) for stage, seconds in self._stage_s.items()},
            workers=self._workers,
        )

    def _rate(self, read_rows: int) -> float:
        now = self._clock.monotonic()
        self._readings.append((now, read_rows))
        while now - self._readings[0][0] > WINDOW_S:
            self._readings.popleft()
        since, before = self._readings[0]
        # a partition that begins again takes rows back
        return max(0, read_rows - before) / (now - since) if now > since else 0.0


def _sum(parts: Iterable[Counted]) -> Counted:
    read = written = filtered = 0
    rejected: dict[str, int] = {}
    for part in parts:
        read += part.read_rows
        written += part.written_rows
        filtered += part.filtered_rows
        rejected = _added(rejected, part.rejected)
    return Counted(read, written, filtered, rejected)


def _added(one: dict[str, N], other: dict[str, N]) -> dict[str, N]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in one | other}
