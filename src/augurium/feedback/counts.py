"""Counts of what was received; rows that say again what was said are told among the recent ones."""

import threading
from collections import Counter
from collections.abc import Iterable

from augurium.feedback.row import FeedbackRow

MOST_RECENT = 100_000


class FeedbackCounts:
    """How many rows were received, repeated, conflicting (by model) and rejected.

    A row is repeated when one of the recent ones says the same of the same outcome, and conflicting
    when that has another value. May be used from several threads.
    """

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.conflicting: Counter[str] = Counter()
        self.rejected = 0
        self._lock = threading.Lock()
        # two halves, of which the older one is forgotten: as good as a queue, and cheaper
        self._recent: dict[int, float] = {}
        self._older: dict[int, float] = {}

    def by_model(self) -> dict[str, dict[str, int]]:
        """What was received, repeated and conflicting, by model."""
        with self._lock:
            return {
                "received": dict(self.received),
                "repeated": dict(self.repeated),
                "conflicting": dict(self.conflicting),
            }

    def reject(self, rows: int) -> None:
        """Counts rows that were not taken."""
        with self._lock:
            self.rejected += rows

    def count(self, rows: Iterable[FeedbackRow]) -> None:
        """Counts rows that were taken."""
        with self._lock:
            for row in rows:
                self._count(row)

    def _count(self, row: FeedbackRow) -> None:
        self.received[row.model] += 1
        outcome = hash(row[1:6])
        known = self._recent.get(outcome)
        if known is None:
            known = self._older.get(outcome)
        if known is not None:
            told = self.repeated if known == row.value else self.conflicting
            told[row.model] += 1
        self._recent[outcome] = row.value
        if len(self._recent) >= MOST_RECENT:
            self._older, self._recent = self._recent, {}
