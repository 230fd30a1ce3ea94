"""Partitions: the rows of a kind, by model and hour; written once, read by range, let go by age."""

import contextlib
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from augurium.core.clock import Clock
from augurium.core.files import sha256_of_file
from augurium.core.identifiers import new_id
from augurium.records.database import RecordDatabase
from augurium.records.record_store import RecordStore
from augurium.records.schema import Schema, arrays_of, quoted_text, selected
from augurium.records.segments import (
    HOUR,
    SUFFIX,
    Found,
    Segment,
    found_of,
    hour_folder,
    hour_of,
    kind_folder,
    model_folder,
    segment_name,
)

KINDS = ("predictions", "feedback")

log = structlog.get_logger()


class Removed(NamedTuple):
    """What was let go."""

    segments: int
    size_bytes: int


class Partitions:
    """The segments of all kinds in one store. May be used from several threads.

    `writer` names this node in what it writes: eight hexadecimal digits that stay the same.
    """

    def __init__(
        self, store: RecordStore, database: RecordDatabase, clock: Clock, writer: str
    ) -> None:
        self.store = store
        self.database = database
        self.writer = writer
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        # segments that were found to be what was written, with the state of their files then
        self._sound: dict[str, tuple[int, int]] = {}
        self._damaged: set[str] = set()

    @property
    def damaged(self) -> int:
        """Segments that were found damaged since the start, and are left out."""
        return len(self._damaged)

    def write(
        self,
        kind: str,
        model: str,
        schema: Schema,
        columns: Mapping[str, Sequence[Any]],
        at: str = "at",
    ) -> list[Segment]:
        """Writes rows as one segment per hour, which is told by the column `at` in seconds since
        1970. Rows stay in their order.

        Raises InsufficientStorage and NotReady; the segments of earlier hours may be written then.
        """
        rows: dict[datetime, list[int]] = {}
        for number, seconds in enumerate(columns[at]):
            rows.setdefault(hour_of(datetime.fromtimestamp(seconds, UTC)), []).append(number)
        if len(rows) == 1:
            return [self._write_hour(kind, model, next(iter(rows)), schema, columns)]
        return [
            self._write_hour(kind, model, hour, schema, _picked(columns, numbers))
            for hour, numbers in sorted(rows.items())
        ]

    def put(self, kind: str, model: str, hour: datetime, content: bytes) -> Segment:
        """Stores a Parquet file as a segment."""
        name = segment_name(self._clock.now(), self.writer, content)
        segment = Segment(kind, model, hour, name, len(content))
        self.store.put(segment.key, content)
        return segment

    def segments(
        self,
        kind: str,
        model: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Segment]:
        """The segments of a kind, maybe of one model and of the hours that overlap `start` to
        `end`, by hour and by when they were written.
        """
        folder = kind_folder(kind) if model is None else model_folder(kind, model)
        after = ""
        if model is not None and start is not None:
            after = hour_folder(kind, model, hour_of(start))
        found = [
            what
            for key, size_bytes in self.store.keys(folder, after)
            if (what := found_of(key, size_bytes)) is not None
            and (start is None or what.segment.hour + HOUR > start)
            and (end is None or what.segment.hour < end)
        ]
        return sorted(
            self._unmerged(found), key=lambda segment: (segment.hour, segment.name, segment.model)
        )

    def models(self, kind: str) -> list[str]:
        """The models that have segments, by name."""
        return sorted({segment.model for segment in self.segments(kind)})

    @contextlib.contextmanager
    def reading(self, segments: Collection[Segment]) -> Iterator[list[Path]]:
        """The files of segments, which stay as long as they are read here.

        Those that are gone are left out, and those that are damaged, which is logged once.
        """
        keys = [segment.key for segment in segments]
        with self._lock:
            self._held.update(keys)
        try:
            with self.store.files(segments) as files:
                yield [path for segment, path in files.items() if self._is_sound(segment, path)]
        finally:
            with self._lock:
                self._held.subtract(keys)
                self._held += Counter()

    def forget(self, model: str) -> Removed:
        """Removes all that was recorded of a model, of every kind, at once."""
        keys = [stored for kind in KINDS for stored in self.store.keys(model_folder(kind, model))]
        self.store.delete([stored.key for stored in keys])
        return Removed(len(keys), sum(stored.size_bytes for stored in keys))

    def retain(self, kind: str, max_bytes: int, keep: timedelta) -> Removed:
        """Lets go of whole hours that ended longer than `keep` ago, and of the oldest ones as long
        as there are more than `max_bytes`. What is being read goes the next time.
        """
        segments = self.segments(kind)
        oldest = self._clock.now() - keep - HOUR
        total = sum(segment.size_bytes for segment in segments)
        gone: list[Segment] = []
        for segment in segments:
            if segment.hour > oldest and total <= max_bytes:
                break
            total -= segment.size_bytes
            gone.append(segment)
        return self.remove(gone)

    def remove(self, segments: Collection[Segment]) -> Removed:
        """Removes segments that nobody reads."""
        with self._lock:
            free = [segment for segment in segments if not self._held[segment.key]]
        self.store.delete([key for found in free for key in (found.key, found.merge_key)])
        for segment in free:
            self._sound.pop(segment.key, None)
        return Removed(len(free), sum(segment.size_bytes for segment in free))

    def take_away(self, keys: Collection[str]) -> bool:
        """Removes objects unless one of them is being read; says whether they are gone."""
        with self._lock:
            if any(self._held[key] for key in keys):
                return False
        self.store.delete(keys)
        return True

    def merges(self, kind: str) -> Iterator[tuple[Segment, list[str]]]:
        """Notes of merged segments: the segment, whose size is not known, and the keys of those
        that it takes the place of.
        """
        for key, size_bytes in self.store.keys(kind_folder(kind)):
            found = found_of(key, size_bytes)
            if found is not None and found.merge:
                yield found.segment, self._replaced(found.segment)

    def _write_hour(
        self,
        kind: str,
        model: str,
        hour: datetime,
        schema: Schema,
        columns: Mapping[str, Sequence[Any]],
    ) -> Segment:
        with self.database.connection() as connection:
            connection.register("rows", arrays_of(schema, columns))
            content = self.written(connection, f"SELECT {selected(schema)} FROM rows")  # noqa: S608 - names of ours
            connection.unregister("rows")
        return self.put(kind, model, hour, content)

    def written(self, connection: Any, query: str) -> bytes:
        """The answer to a query as a Parquet file."""
        file = self.database.temporary / f"{new_id()}{SUFFIX}"
        try:
            connection.execute(
                f"COPY ({query}) TO {quoted_text(str(file))} (FORMAT parquet, COMPRESSION zstd)"
            )
            return file.read_bytes()
        finally:
            file.unlink(missing_ok=True)

    def _unmerged(self, found: Sequence[Found]) -> Iterator[Segment]:
        """Without the segments that a merged one, which is there, takes the place of."""
        there = {what.segment.key for what in found if not what.merge}
        replaced: set[str] = set()
        for what in found:
            if what.merge and what.segment.key in there:
                replaced.update(self._replaced(what.segment))
        for what in found:
            if not what.merge and what.segment.key not in replaced:
                yield what.segment

    def _replaced(self, merged: Segment) -> list[str]:
        content = self.store.find(merged.merge_key)
        try:
            names = msgspec.json.decode(content or b"[]", type=list[str])
        except msgspec.MsgspecError:
            log.error("note of a merged segment cannot be read", key=merged.merge_key)
            return []
        folder = merged.key.removesuffix(merged.name + SUFFIX)
        return [f"{folder}{name}{SUFFIX}" for name in names]

    def _is_sound(self, segment: Segment, file: Path) -> bool:
        """Whether a file is what was written; looked at once, and again if it has changed."""
        key = segment.key
        try:
            status = file.stat()
            state = (status.st_mtime_ns, status.st_size)
            if self._sound.get(key) != state:
                if sha256_of_file(file)[: len(segment.digest)] != segment.digest:
                    self._report_damaged(key)
                    return False
                self._sound[key] = state
        except OSError as error:
            log.error("records cannot be read", key=key, reason=error.strerror)
            return False
        return True

    def _report_damaged(self, key: str) -> None:
        if key not in self._damaged:
            self._damaged.add(key)
            log.error("records are damaged and left out", key=key)


def _picked(
    columns: Mapping[str, Sequence[Any]], numbers: Sequence[int]
) -> dict[str, Sequence[Any]]:
    return {name: [values[number] for number in numbers] for name, values in columns.items()}
