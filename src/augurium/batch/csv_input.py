"""Rows of CSV files. Imports pyarrow.

Arrow parses a block of rows at a time straight to the types of the signature. It does not say
which rows are at fault when it fails; then the block is looked at again, value by value. A row is
judged alike both ways, whatever its neighbours are.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from augurium.batch.csv_faults import is_valid, sifted
from augurium.batch.discovery import InputFile
from augurium.batch.feature_values import shown_value
from augurium.batch.file_format import Layout, RawBlock, Reject, no_columns, numbered
from augurium.batch.partition import Fragment, RejectedRow
from augurium.batch.record_blocks import Marks, RecordBlock, record_ends
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile
from augurium.batch.text_rows import (
    TEXT,
    TypedColumn,
    blocks_of,
    pieces_of,
    rejecting,
    typed_columns,
)
from augurium.batch.text_source import CHUNK_BYTES, TextSource
from augurium.batch.text_values import has_infinity, parsed
from augurium.core.batch_job import CsvRules
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature

LIKELY_DELIMITERS = ",;\t|"


class _Head(NamedTuple):
    """What the beginning of a file says of the rest. `data` is where the first row begins."""

    names: tuple[str, ...]
    marks: Marks
    data: int


class CsvInput:
    """CSV by the rules of a job. Columns that are plain numbers in the signature have its types,
    others are texts.

    Raises InvalidArgument for rules that cannot be kept.
    """

    def __init__(
        self, storage: Storage, rules: CsvRules, signature: Signature, columns: Mapping[str, str]
    ) -> None:
        _check(rules)
        self._rules = rules
        self._source = TextSource(storage, rules.encoding)
        found = typed_columns(signature, columns)
        # a field is one value
        self._types = {name: one for name, one in found.items() if pa.types.is_primitive(one.kind)}

    def layout(self, file: InputFile, partition_rows: int | None) -> Layout:
        if not file.stored.size_bytes:
            return Layout(pa.schema([]), ())
        head = self._head(file.stored)
        begin = head.data + self._source.mark_bytes(file.stored)
        pieces = pieces_of(self._source, file, begin, head.marks, partition_rows)
        fields = [(name, self._types.get(name, TEXT).kind) for name in head.names]
        return Layout(pa.schema(fields), pieces)

    def blocks(
        self, fragment: Fragment, columns: Sequence[str], reject: Reject
    ) -> Iterator[RawBlock]:
        stored = self._source.same_file(fragment)
        head = self._head(stored)
        parser = _Parser(self._rules, self._source, head, columns, self._types)
        header = self._rules.header
        for block in blocks_of(self._source, stored, fragment, head.marks, header, reject):
            yield from parser.parsed(block, fragment.file, reject)

    def one_column(self, file: StoredFile) -> str:
        """What to look at when a file has no more than one column; empty if it has."""
        head = self._head(file)
        if len(head.names) > 1:
            return ""
        counts = {mark: head.names[0].count(mark) for mark in LIKELY_DELIMITERS}
        likely = max(counts, key=lambda mark: counts[mark])
        told = f"; its header has {counts[likely]} {likely!r}" if counts[likely] else ""
        return (
            f"; the file has one column, if its delimiter is {self._rules.delimiter!r}{told}: give"
            " the delimiter that it has"
        )

    def _head(self, file: StoredFile) -> _Head:
        content = self._source.head(file)
        marks = Marks(
            b"\r" if b"\n" not in content and b"\r" in content else b"\n",
            self._rules.delimiter.encode(),
            self._rules.quote.encode(),
        )
        ends = record_ends(content, marks)
        if not len(ends) and len(content) >= CHUNK_BYTES:
            raise InvalidArgument(
                f"the first row of {file.location} does not end within {CHUNK_BYTES} bytes; is it"
                " CSV, and are delimiter and quote those of the file?"
            )
        end = int(ends[0]) if len(ends) else len(content)
        line = content[:end].decode(self._source.recoded or "utf-8", "replace")
        fields = next(
            csv.reader([line], delimiter=self._rules.delimiter, quotechar=self._rules.quote), []
        )
        if not self._rules.header:
            return _Head(self._names(file, len(fields)), marks, 0)
        return _Head(tuple(name.strip() for name in fields), marks, end)

    def _names(self, file: StoredFile, fields: int) -> tuple[str, ...]:
        names = self._rules.names
        if len(names) != fields:
            raise InvalidArgument(
                f"the first row of {file.location} has {fields} fields, but the rules of CSV name"
                f" {len(names)} columns; give a name for each"
            )
        return names


class _Parser:
    """Parses blocks of one file, of which only some columns are wanted."""

    def __init__(
        self,
        rules: CsvRules,
        source: TextSource,
        head: _Head,
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


def _check(rules: CsvRules) -> None:
    for name, mark in (("delimiter", rules.delimiter), ("quote", rules.quote)):
        if not mark.isascii() or mark in "\r\n\0":
            raise InvalidArgument(
                f"the {name} {mark!r} of CSV cannot be used; expected one ASCII character"
            )
    if rules.delimiter == rules.quote:
        raise InvalidArgument("delimiter and quote of CSV are the same; give two characters")
    if rules.header and rules.names:
        raise InvalidArgument(
            "the rules of CSV name columns of files that have a header; leave the names out, or"
            " set header to false"
        )
    if not rules.header and not rules.names:
        raise InvalidArgument("CSV files without a header need the names of their columns")
