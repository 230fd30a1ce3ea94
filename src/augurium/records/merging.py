"""Merging: the many small segments of an hour that is over become one.

A note says first which segments the merged one will take the place of; as soon as that is there,
readers leave the others out. Whoever is killed in between leaves nothing double and nothing lost.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import msgspec
import structlog

from augurium.core.clock import Clock
from augurium.records.partitions import Partitions
from augurium.records.schema import rows_of
from augurium.records.segments import HOUR, SUFFIX, Segment, segment_name

# rows of an hour may come so long after it
GRACE = timedelta(minutes=10)
LEAST_SEGMENTS = 2
MOST_BYTES = 256 * 1024 * 1024

log = structlog.get_logger()


class Merging:
    """Merges what this node wrote. Call it from one thread at a time."""

    def __init__(self, partitions: Partitions, clock: Clock) -> None:
        self._partitions = partitions
        self._clock = clock

    def run(self, kind: str) -> int:
        """Merges all that can be, and says how many segments became fewer ones.

        Raises InsufficientStorage and NotReady.
        """
        self._finish(kind)
        own = [
            segment
            for segment in self._partitions.segments(kind)
            if segment.writer == self._partitions.writer
            and segment.hour + HOUR + GRACE <= self._clock.now()
        ]
        own.sort(key=lambda segment: (segment.model, segment.hour, segment.name))
        merged = 0
        for _, group in groupby(own, key=lambda segment: (segment.model, segment.hour)):
            segments = _affordable(list(group))
            if len(segments) >= LEAST_SEGMENTS and self._merge(segments):
                merged += len(segments)
        return merged

    def _merge(self, segments: Sequence[Segment]) -> bool:
        content = self._content(segments)
        if content is None:
            return False
        first, store = segments[0], self._partitions.store
        name = segment_name(self._clock.now(), self._partitions.writer, content)
        merged = Segment(first.kind, first.model, first.hour, name, len(content))
        names = [segment.name for segment in segments]
        store.put(merged.merge_key, msgspec.json.encode(names))
        store.put(merged.key, content)
        self._drop(merged, [segment.key for segment in segments])
        return True

    def _content(self, segments: Sequence[Segment]) -> bytes | None:
        """All rows in one file; None where one of the segments cannot be read."""
        with self._partitions.reading(segments) as files:
            if len(files) < len(segments):
                return None
            with self._partitions.database.connection() as connection:
                return self._partitions.written(connection, rows_of(files))

    def _finish(self, kind: str) -> None:
        """Ends what was begun: sources that are still there, and notes of what never came."""
        for merged, replaced in list(self._partitions.merges(kind)):
            if merged.writer != self._partitions.writer:
                continue
            self._drop(merged, replaced)

    def _drop(self, merged: Segment, replaced: Sequence[str]) -> None:
        store = self._partitions.store
        folder = merged.key.removesuffix(merged.name + SUFFIX)
        there = {stored.key for stored in store.keys(folder)}
        if merged.key in there and not self._partitions.take_away(replaced):
            # someone reads them; the note hides them from the next
            return
        store.delete([merged.merge_key])


def _affordable(segments: list[Segment]) -> list[Segment]:
    """The smaller ones, as many as make a segment that is not too large."""
    chosen: list[Segment] = []
    total = 0
    for segment in sorted(segments, key=lambda segment: segment.size_bytes):
        total += segment.size_bytes
        if total > MOST_BYTES:
            break
        chosen.append(segment)
    return sorted(chosen, key=lambda segment: segment.name)
