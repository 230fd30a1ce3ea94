"""Blocks of CSV to columns. Imports pyarrow.

Arrow parses a block of rows at a time straight to the types of the signature. It does not say
which rows are at fault when it fails; then the block is looked at again, value by value. A row is
judged alike both ways, whatever its neighbours are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from augurium.batch.csv_faults import is_valid, sifted
from augurium.batch.feature_values import shown_value
from augurium.batch.file_format import RawBlock, Reject, no_columns, numbered
from augurium.batch.partition import RejectedRow
from augurium.batch.record_blocks import Marks, RecordBlock
from augurium.batch.text_rows import TEXT, TypedColumn, rejecting
from augurium.batch.text_source import TextSource
from augurium.batch.text_values import has_infinity, parsed
from augurium.core.batch_job import CsvRules
from augurium.core.errors import InvalidArgument


class CsvHead(NamedTuple):
    """What the beginning of a file says of the rest. `data` is where the first row begins."""

    names: tuple[str, ...]
    marks: Marks
    data: int


class CsvParser:
    """Parses blocks of one file, of which only some columns are wanted."""

    def __init__(
        self,
        rules: CsvRules,
        source: TextSource,
        head: CsvHead,
        columns: Sequence[str],
        types: Mapping[str, TypedColumn],
    ) -> None:
        self._head = head
        self._source = source
        names = [name for name in columns if name in head.names]
        self._names = names
        # in Arrow columns have numbers for names, because a header may have a name twice
        self._ids = [str(head.names.index(name)) for name in names]
        self._types = [types.get(name, TEXT) for name in names]
        self._read = arrow_csv.ReadOptions(
            use_threads=False, column_names=[str(place) for place in range(len(head.names))]
        )
        self._parse = arrow_csv.ParseOptions(
            delimiter=rules.delimiter, quote_char=rules.quote, newlines_in_values=True
        )
        self._nulls = list(rules.null_values)
        self._typed = self._conversion([column.kind for column in self._types])
        self._texts = self._conversion([pa.string()] * len(names))

    def parsed(self, block: RecordBlock, file: str, reject: Reject) -> Iterator[RawBlock]:
        """The rows of a block. Tells of those that are none."""
        rows = numbered(block.first_record, block.records)
        content = block.content
        if b"\0" not in content and is_valid(content, self._encoding):
            found = self._columns(self._recoded(content), len(rows), self._typed)
            if found is not None:
                yield RawBlock(found, rows)
                return
        tell = rejecting(file, reject)
        content, rows = sifted(
            content,
            block.first_record,
            len(self._head.names),
            self._head.marks,
            self._encoding,
            tell,
        )
        if len(rows):
            yield self._judged(self._recoded(content), rows, file, reject)

    @property
    def _encoding(self) -> str:
        return self._source.recoded or "utf-8"

    def _recoded(self, content: bytes) -> bytes:
        return content.decode(self._encoding).encode() if self._source.recoded else content

    def _judged(
        self, content: bytes, rows: npt.NDArray[np.int64], file: str, reject: Reject
    ) -> RawBlock:
        """Rows of which each has its fields, in whose values something is wrong, or nothing."""
        found = self._columns(content, len(rows), self._typed)
        if found is not None:
            return RawBlock(found, rows)
        texts = self._columns(content, len(rows), self._texts)
        if texts is None:
            raise InvalidArgument(
                f"{file} cannot be read as CSV from row {rows[0]} on; write the file again"
            )
        good = np.ones(len(rows), np.bool_)
        columns = [
            self._column(texts, place, rows, good, file, reject)
            for place in range(len(self._names))
        ]
        batch = pa.RecordBatch.from_arrays(columns, self._names)
        return RawBlock(batch.filter(pa.array(good)), rows[good])

    def _column(
        self,
        texts: pa.RecordBatch,
        place: int,
        rows: npt.NDArray[np.int64],
        good: npt.NDArray[np.bool_],
        file: str,
        reject: Reject,
    ) -> Any:
        (kind, lenient, _), name = self._types[place], self._names[place]
        values = texts.column(place)
        if kind == pa.string():
            return values
        found, bad = parsed(values, kind)
        if lenient:
            return found
        for row in bad.tolist():
            if good[row]:
                value = shown_value(values[row].as_py())
                reason = f"{value} is not {_expected(kind)}"
                reject(RejectedRow(file, int(rows[row]), name, "wrong_type", reason))
        good[bad] = False
        return found

    def _columns(self, content: bytes, rows: int, conversion: Any) -> Any:
        """The block in columns; None if it cannot be parsed, or has another number of rows."""
        self._read.block_size = len(content) + 1
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(content), self._read, self._parse, conversion
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != rows:
            return None
        arrays = [column.chunk(0) for column in table.columns]
        if conversion is self._typed and any(map(has_infinity, arrays)):
            return None  # Arrow makes infinity of what is too large
        return pa.RecordBatch.from_arrays(arrays, self._names) if arrays else no_columns(rows)

    def _conversion(self, types: Sequence[Any]) -> Any:
        return arrow_csv.ConvertOptions(
            check_utf8=False,  # it was checked
            column_types=dict(zip(self._ids, types, strict=True)),
            include_columns=self._ids,
            null_values=self._nulls,
            strings_can_be_null=True,
        )


def _expected(kind: Any) -> str:
    if pa.types.is_boolean(kind):
        return "true or false"
    return f"a {'whole ' * pa.types.is_integer(kind)}number that fits {kind}"
