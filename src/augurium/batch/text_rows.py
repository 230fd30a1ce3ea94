"""What CSV and JSON Lines have in common: text files cut at ends of records. Imports pyarrow."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from augurium.batch.discovery import InputFile
from augurium.batch.file_format import Reject
from augurium.batch.input_schema import value_type
from augurium.batch.partition import Fragment, RejectedRow
from augurium.batch.record_blocks import Marks, RecordBlock, TellBad, record_blocks, record_ends
from augurium.batch.stored_file import StoredFile
from augurium.batch.text_source import TextSource
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec


def pieces_of(
    source: TextSource, file: InputFile, begin: int, marks: Marks, partition_rows: int | None
) -> tuple[Fragment, ...]:
    """Cuts a file from the byte `begin` on, where its first row is; what cannot be cut, or is to
    have no size, is whole.

    Every byte is read for that: where a row ends is not known before, nor is its number.
    """
    stored = file.stored
    if partition_rows is None or not source.can_be_cut(stored.location):
        return (Fragment(stored.location, stored.identity, values=file.values),)
    numbers = [0]

    def pass_over(number: int, kind: str, reason: str) -> None:
        numbers.append(number)

    edges, rows = [(begin, 1)], 0
    for block in record_blocks(source.pieces(stored, begin), marks, pass_over):
        numbers[0] = block.first_record + block.records - 1
        if rows + block.records < partition_rows:
            rows += block.records
            continue
        ends = record_ends(block.content, marks)
        edges += [
            (begin + block.start + int(ends[place - 1]), block.first_record + place)
            for place in range(partition_rows - rows, len(ends) + 1, partition_rows)
        ]
        rows = block.first_record + block.records - edges[-1][1]
    if edges[-1][0] < stored.size_bytes:
        edges.append((stored.size_bytes, max(numbers) + 1))
    return tuple(
        Fragment(
            stored.location, stored.identity, start, stop, first, following - first, file.values
        )
        for (start, first), (stop, following) in itertools.pairwise(edges)
    )


def blocks_of(
    source: TextSource,
    stored: StoredFile,
    fragment: Fragment,
    marks: Marks,
    header: bool,
    reject: Reject,
) -> Iterator[RecordBlock]:
    """The records of a fragment; the header of a file that is whole is none of them."""
    skipped = header and not fragment.stop
    first = 0 if skipped else fragment.first_row
    tell = rejecting(fragment.file, reject)
    pieces = source.pieces(stored, fragment.start, fragment.stop)
    for block in record_blocks(pieces, marks, tell, first):
        if not skipped:
            yield block
            continue
        skipped = False
        end = int(record_ends(block.content + marks.newline, marks)[0])
        if block.records > 1:
            yield RecordBlock(block.content[end:], block.records - 1, 1, end)


def rejecting(file: str, reject: Reject) -> TellBad:
    """Tells of records that are none."""

    def tell(number: int, kind: str, reason: str) -> None:
        if number:  # the header is no row
            reject(RejectedRow(file, number, "", kind, reason))

    return tell


class TypedColumn(NamedTuple):
    """As what the values of a column are read. Where `lenient`, others are missing ones; a `moment`
    is a text, or a number of seconds.
    """

    kind: pa.DataType
    lenient: bool = False
    moment: bool = False


TEXT = TypedColumn(pa.string())


def typed_columns(signature: Signature, columns: Mapping[str, str]) -> dict[str, TypedColumn]:
    """The columns of features, in the types of the signature. Moments are texts, and so is what
    several features want in different types.
    """
    found: dict[str, TypedColumn] = {}
    for spec in signature.inputs:
        for name in (spec.name, *spec.features):
            column = columns.get(name, name)
            wanted = _typed(spec, spec.shape[1:] if name == spec.name else ())
            found[column] = wanted if found.get(column, wanted) == wanted else TEXT
    return found


def _typed(spec: TensorSpec, inner: Sequence[int]) -> TypedColumn:
    if spec.moment:
        return TypedColumn(pa.string(), spec.lenient, moment=True)
    kind = value_type(spec)
    # a list of one value may be written as the value
    if math.prod(inner) != 1:
        for _ in inner:
            kind = pa.list_(kind)
    return TypedColumn(kind, spec.lenient)
