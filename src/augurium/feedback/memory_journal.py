"""The journal in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Sequence

from augurium.feedback.journal import JournalSize, Kept, Segment
from augurium.feedback.row import FeedbackRow, StoredRow, stored


class MemoryJournal:
    """Keeps everything until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 1
        self._rows: dict[int, StoredRow] = {}
        self._segments: dict[str, Segment] = {}

    def append(self, rows: Sequence[FeedbackRow], received_at: float) -> int:
        with self._lock:
            first = self._reserved(len(rows))
            self._rows |= {row.seq: row for row in stored(rows, first, received_at)}
            return first

    def reserve(self, count: int) -> int:
        with self._lock:
            return self._reserved(count)

    def note(self, segments: Sequence[Segment]) -> None:
        with self._lock:
            self._segments |= {segment.name: segment for segment in segments}

    def oldest(self, limit: int) -> list[StoredRow]:
        with self._lock:
            return [self._rows[seq] for seq in sorted(self._rows)[:limit]]

    def replace(self, rows: Sequence[StoredRow], segments: Sequence[Segment]) -> bool:
        with self._lock:
            if any(row.seq not in self._rows for row in rows):
                return False
            for row in rows:
                del self._rows[row.seq]
            self._segments |= {segment.name: segment for segment in segments}
            return True

    def kept(self, model: str) -> Kept:
        with self._lock:
            segments = [found for found in self._segments.values() if found.model == model]
            rows = [self._rows[seq] for seq in sorted(self._rows)]
        return Kept(
            sorted(segments, key=lambda segment: segment.first_seq),
            [row for row in rows if row.row.model == model],
        )

    def size(self) -> JournalSize:
        with self._lock:
            times = [row.received_at for row in self._rows.values()]
        return JournalSize(len(times), min(times, default=None))

    def models(self) -> set[str]:
        with self._lock:
            named = {row.row.model for row in self._rows.values()}
            return named | {segment.model for segment in self._segments.values()}

    def segment_names(self) -> set[str]:
        with self._lock:
            return set(self._segments)

    def forget(self, model: str) -> list[Segment]:
        with self._lock:
            rows = self._rows.items()
            self._rows = {seq: row for seq, row in rows if row.row.model != model}
            return self._unlist([found for found in self._listed() if found.model == model])

    def expire(self, before: float) -> list[Segment]:
        with self._lock:
            rows = self._rows.items()
            self._rows = {seq: row for seq, row in rows if row.received_at >= before}
            return self._unlist([found for found in self._listed() if found.received_at < before])

    def _reserved(self, count: int) -> int:
        first = self._next
        self._next += count
        return first

    def _listed(self) -> list[Segment]:
        return sorted(self._segments.values(), key=lambda segment: segment.name)

    def _unlist(self, segments: list[Segment]) -> list[Segment]:
        for segment in segments:
            del self._segments[segment.name]
        return segments
