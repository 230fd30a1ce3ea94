"""Looks at the whole input before any work, and cuts it into partitions. Imports pyarrow."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
import pyarrow as pa

from augurium.batch.block_columns import (
    BlockColumns,
    columns_of_nothing,
    kept_columns,
    with_folders,
)
from augurium.batch.csv_input import CsvInput
from augurium.batch.discovery import InputFile, discovered
from augurium.batch.file_format import FileFormat, Layout
from augurium.batch.input_schema import check_same, features_of
from augurium.batch.partition import Fragment, InputPlan, Partition
from augurium.batch.partition_rows import file_format
from augurium.batch.row_filter import RowFilter
from augurium.batch.storage import Storage
from augurium.core.batch_job import InputSpec
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature

# files are looked at side by side, because object stores answer slowly
PARALLEL = 8
# what is not counted in rows is counted in bytes: these stand for a partition
UNCOUNTED_BYTES = 64 * 1024 * 1024
UNCUT_ROWS = 1_000_000


class _Found(NamedTuple):
    file: InputFile
    layout: Layout


def plan_input(
    spec: InputSpec, signature: Signature, storage: Storage, partition_rows: int
) -> InputPlan:
    """Lists the files of an input, holds their columns against the signature, and cuts them into
    partitions of about `partition_rows`. The same files give the same plan.

    Raises InvalidArgument, naming the file and the column, for what could not be scored: files that
    are damaged or lack a feature, types that a feature does not take, a filter that cannot be used;
    NotFound for paths that lead nowhere, and what a storage raises.
    """
    return _planned(spec, signature, storage, partition_rows)


def look_at_input(spec: InputSpec, signature: Signature, storage: Storage) -> InputPlan:
    """The same for whoever only wants to know whether a job could be: text files are not read to
    their end, so that they are not cut and their rows not counted. Raises as `plan_input`.
    """
    return _planned(spec, signature, storage, None)


def _planned(
    spec: InputSpec, signature: Signature, storage: Storage, partition_rows: int | None
) -> InputPlan:
    if not signature.batched:
        raise InvalidArgument(
            "the model takes one row at a time; batch jobs need a model whose inputs have rows"
        )
    found = discovered(spec, storage)
    reader = file_format(found.format, spec, signature, storage)
    laid_out = list(_laid_out(reader, found.files, partition_rows))
    columns, read = _columns(spec, signature, reader, laid_out)
    pieces = (piece for one in laid_out for piece in one.layout.pieces)
    sizes = {one.file.location: one.file.stored.size_bytes for one in laid_out}
    return InputPlan(
        format=found.format,
        partitions=tuple(_partitions(pieces, sizes, partition_rows or UNCUT_ROWS)),
        sources=columns.sources,
        kept=columns.kept,
        files=len(found.files),
        total_bytes=sum(sizes.values()),
        schema=read.serialize().to_pybytes() if len(read) else b"",
    )


def _laid_out(
    reader: FileFormat, files: Sequence[InputFile], partition_rows: int | None
) -> Iterator[_Found]:
    # the first file that has rows says what the columns of JSON are
    filled = next((file for file in files if file.stored.size_bytes), files[0])
    first = reader.layout(filled, partition_rows)
    with ThreadPoolExecutor(PARALLEL, "layout") as threads:
        layouts = threads.map(
            lambda file: first if file is filled else reader.layout(file, partition_rows), files
        )
        for file, layout in zip(files, layouts, strict=True):
            yield _Found(file, layout)


def _columns(
    spec: InputSpec, signature: Signature, reader: FileFormat, found: Sequence[_Found]
) -> tuple[BlockColumns, pa.Schema]:
    """The columns of the first file that has any, which all others have to have as well."""
    for one in found:
        if one.layout.pieces and not len(one.layout.schema):
            raise InvalidArgument(
                f"{one.file.location} has no columns; give files with the features of the model"
            )
    schemas = [
        (one.file, with_folders(one.layout.schema, one.file, signature, spec))
        for one in found
        if len(one.layout.schema)
    ]
    if not schemas:
        return columns_of_nothing(spec, signature), pa.schema([])
    first, schema = schemas[0]
    try:
        features = features_of(signature, spec.columns, schema, first.location)
    except InvalidArgument as error:
        hint = reader.one_column(first.stored) if isinstance(reader, CsvInput) else ""
        raise InvalidArgument(f"{error}{hint}") from error
    kept = kept_columns(spec, schema, first.location)
    used = RowFilter(spec.where, schema).columns if spec.where else []
    names = dict.fromkeys([*(feature.column for feature in features), *kept, *used])
    read = pa.schema([schema.field(name).remove_metadata() for name in names])
    for file, other in schemas[1:]:
        check_same(features, kept, read, other, first.location, file.location)
    return BlockColumns.of(features, kept, read), read


def _partitions(
    pieces: Iterable[Fragment], sizes: dict[str, int], partition_rows: int
) -> Iterator[Partition]:
    """Pieces in their order, as many in each partition as come nearest to its size."""
    fragments: list[Fragment] = []
    number = size = 0
    for piece in pieces:
        rows = piece.rows
        if rows is None:
            rows = max(1, sizes[piece.file] * partition_rows // UNCOUNTED_BYTES)
        if fragments and size + rows / 2 > partition_rows:
            yield Partition(number, tuple(fragments))
            fragments, number, size = [], number + 1, 0
        if not (fragments and (joined := _joined(fragments[-1], piece))):
            fragments.append(piece)
        else:
            fragments[-1] = joined
        size += rows
    if fragments:
        yield Partition(number, tuple(fragments))


def _joined(one: Fragment, other: Fragment) -> Fragment | None:
    """Two pieces of a file that follow each other, as one."""
    if one.file != other.file or one.rows is None or other.rows is None:
        return None
    return msgspec.structs.replace(one, stop=other.stop, rows=one.rows + other.rows)
