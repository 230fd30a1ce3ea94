"""Rows of Arrow IPC files and streams, record batch by record batch. Imports pyarrow.

A file (Feather is one) says where its batches are; a stream is read from its beginning, and so it
is one piece. Source: Apache Arrow, "Columnar Format", section "IPC File Format".
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from augurium.batch.discovery import InputFile
from augurium.batch.file_format import (
    Layout,
    RawBlock,
    Reject,
    arrow_file,
    block_rows,
    bounded,
    damage,
    numbered,
    readable,
)
from augurium.batch.input_changed import same_file
from augurium.batch.partition import Fragment
from augurium.batch.storage import Storage

NAME = "Arrow"
MAGIC = b"ARROW1"


class ArrowInput:
    """A fragment goes from one record batch to another, or is the whole of a stream."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def layout(self, file: InputFile, partition_rows: int | None) -> Layout:
        stored = file.stored
        if not stored.size_bytes:
            return Layout(pa.schema([]), ())
        with damage(stored.location, NAME), arrow_file(self._storage, stored) as source:
            if _is_stream(source):
                with ipc.open_stream(source) as stream:
                    whole = Fragment(stored.location, stored.identity, values=file.values)
                    return Layout(readable(stream.schema), (whole,))
            with ipc.open_file(source) as reader:
                schema = readable(reader.schema)
            source.seek(0)
            # the number of rows of a batch is known when any of its columns is read
            with ipc.open_file(source, options=_options(_smallest(schema))) as reader:
                return Layout(schema, tuple(_pieces(file, reader)))

    def blocks(
        self, fragment: Fragment, columns: Sequence[str], reject: Reject
    ) -> Iterator[RawBlock]:
        stored = same_file(fragment, self._storage)
        with damage(stored.location, NAME), arrow_file(self._storage, stored) as source:
            row = fragment.first_row
            for batch in _batches(source, fragment, columns):
                _check(batch)
                rows_at_once = block_rows(batch.nbytes / max(batch.num_rows, 1))
                for begin in range(0, batch.num_rows, rows_at_once):
                    part = bounded(batch.slice(begin, rows_at_once), (), fragment.file)
                    yield RawBlock(part, numbered(row + begin, part.num_rows))
                row += batch.num_rows


def _pieces(file: InputFile, reader: Any) -> Iterator[Fragment]:
    first = 1
    for number in range(reader.num_record_batches):
        count = reader.get_batch(number).num_rows
        if count:
            yield Fragment(
                file.location, file.stored.identity, number, number + 1, first, count, file.values
            )
        first += count


def _batches(source: Any, fragment: Fragment, columns: Sequence[str]) -> Iterator[Any]:
    if not fragment.stop:
        with ipc.open_stream(source) as stream:
            wanted = [name for name in columns if name in stream.schema.names]
            for batch in stream:
                yield batch.select(wanted)
        return
    with ipc.open_file(source) as reader:
        names = reader.schema.names
    source.seek(0)
    places = [names.index(name) for name in columns if name in names]
    with ipc.open_file(source, options=_options(places)) as reader:
        for number in range(fragment.start, fragment.stop):
            yield reader.get_batch(number)


def _options(places: list[int]) -> Any:
    return ipc.IpcReadOptions(use_threads=False, included_fields=places)


def _smallest(schema: Any) -> list[int]:
    """The place of the column that is read with the least work, if there is any."""
    places = range(len(schema))
    return sorted(places, key=lambda place: _width_bits(schema.field(place).type))[:1]


def _width_bits(kind: Any) -> int:
    return int(kind.bit_width) if pa.types.is_primitive(kind) else 1024


def _is_stream(source: Any) -> bool:
    head = source.read(len(MAGIC))
    source.seek(0)
    return bool(head != MAGIC)


def _check(batch: Any) -> None:
    """Buffers that are too short, and offsets that lead out of them, would be followed."""
    for column in batch.columns:
        column.validate(full=not pa.types.is_primitive(column.type))
