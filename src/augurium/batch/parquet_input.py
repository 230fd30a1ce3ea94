"""Rows of Parquet files, row group by row group. Imports pyarrow.

Only the columns that are wanted are read. Without Arrow's threads, because there is a process per
core. What is in memory at a time is some pages of each column; of an object, the row group, if it
is not too large, because many small requests take longer than few.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

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
from augurium.batch.input_schema import is_text
from augurium.batch.partition import Fragment
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile, is_url
from augurium.core.errors import InvalidArgument

NAME = "Parquet"
PAGES_BYTES = 256 * 1024
REMOTE_PAGES_BYTES = 8 * 1024 * 1024
FETCHED_AT_ONCE_BYTES = 256 * 1024 * 1024
# whoever reads the last part of a row group decodes the others as well
MOST_PARTS_OF_A_GROUP = 4


class ParquetInput:
    """A fragment goes from one row group to another; of a large one it may be a part."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def layout(self, file: InputFile, partition_rows: int | None) -> Layout:
        stored = file.stored
        with (
            damage(stored.location, NAME),
            arrow_file(self._storage, stored) as source,
            # without the cache, which is for those that read rows
            pq.ParquetFile(source, pre_buffer=False) as parquet,
        ):
            metadata, schema = parquet.metadata, readable(parquet.schema_arrow)
            counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        if sum(counts) != metadata.num_rows or min(counts, default=0) < 0:
            raise InvalidArgument(
                f"{stored.location} says that it has {metadata.num_rows} rows, and {sum(counts)} in"
                " its row groups; write the file again"
            )
        return Layout(schema, tuple(_pieces(file, counts, partition_rows)))

    def blocks(
        self, fragment: Fragment, columns: Sequence[str], reject: Reject
    ) -> Iterator[RawBlock]:
        stored = same_file(fragment, self._storage)
        with damage(stored.location, NAME), arrow_file(self._storage, stored) as source:
            with pq.ParquetFile(source, pre_buffer=False) as parquet:
                metadata = parquet.metadata
                names = frozenset(parquet.schema_arrow.names)
                texts = _texts(parquet.schema_arrow)
            wanted = [name for name in columns if name in names]
            with _opened(source, metadata, stored, fragment, texts) as parquet:
                for block in _rows(parquet, fragment, wanted):
                    yield RawBlock(bounded(block.columns, texts, fragment.file), block.rows)


def _pieces(
    file: InputFile, counts: Sequence[int], partition_rows: int | None
) -> Iterator[Fragment]:
    first = 1
    for group, count in enumerate(counts):
        parts = min(max(count // (partition_rows or count or 1), 1), MOST_PARTS_OF_A_GROUP)
        for part in range(parts):
            begin, end = count * part // parts, count * (part + 1) // parts
            if end > begin:
                yield Fragment(
                    file.location,
                    file.stored.identity,
                    group,
                    group + 1,
                    first + begin,
                    end - begin,
                    file.values,
                )
        first += count


def _texts(schema: Any) -> list[str]:
    dictionary = pa.types.is_dictionary
    return [f.name for f in schema if is_text(f.type) and not dictionary(f.type)]


def _opened(
    source: Any, metadata: Any, stored: StoredFile, fragment: Fragment, texts: Sequence[str]
) -> Any:
    remote = is_url(stored.location)
    groups = range(fragment.start, fragment.stop)
    largest = max(metadata.row_group(group).total_byte_size for group in groups)
    source.seek(0)
    return pq.ParquetFile(
        source,
        metadata=metadata,
        # a text that stands in many rows is in memory once until their size is known
        read_dictionary=texts,
        buffer_size=REMOTE_PAGES_BYTES if remote else PAGES_BYTES,
        # the cache holds what it fetched until the next row group
        pre_buffer=remote and largest <= FETCHED_AT_ONCE_BYTES,
        page_checksum_verification=True,
    )


def _rows(parquet: Any, fragment: Fragment, columns: list[str]) -> Iterator[RawBlock]:
    metadata = parquet.metadata
    before = sum(metadata.row_group(group).num_rows for group in range(fragment.start))
    groups = range(fragment.start, fragment.stop)
    counts = {group: metadata.row_group(group).num_rows for group in groups}
    sizes = sum(metadata.row_group(group).total_byte_size for group in groups)
    batch_rows = block_rows(sizes / max(sum(counts.values()), 1))
    stop_row = fragment.first_row + (fragment.rows or 0)
    row, read = before + 1, 0
    for group in groups:
        end = row + counts[group]
        for batch in parquet.iter_batches(batch_rows, [group], columns, use_threads=False):
            begin = max(fragment.first_row - row, 0)
            length = min(stop_row - row, batch.num_rows) - begin
            if length > 0:
                read += length
                yield RawBlock(_part(batch, begin, length), numbered(row + begin, length))
            row += batch.num_rows
            if row >= stop_row:
                break
        if row != end and row < stop_row:
            break
    if read != fragment.rows:
        raise InvalidArgument(
            f"{fragment.file} has {read} rows where it says it has {fragment.rows}, from row"
            f" {fragment.first_row} on; write the file again"
        )


def _part(batch: pa.RecordBatch, begin: int, length: int) -> pa.RecordBatch:
    return batch if length == batch.num_rows else batch.slice(begin, length)
