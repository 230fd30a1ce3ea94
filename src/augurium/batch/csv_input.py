"""Rows of CSV files. Imports pyarrow."""

import csv
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from augurium.batch.csv_parser import CsvHead, CsvParser
from augurium.batch.discovery import InputFile
from augurium.batch.file_format import Layout, RawBlock, Reject
from augurium.batch.partition import Fragment
from augurium.batch.record_blocks import Marks, record_ends
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile
from augurium.batch.text_rows import TEXT, blocks_of, pieces_of, typed_columns
from augurium.batch.text_source import CHUNK_BYTES, TextSource
from augurium.core.batch_job import CsvRules
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature

LIKELY_DELIMITERS = ",;\t|"


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
        parser = CsvParser(self._rules, self._source, head, columns, self._types)
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

    def _head(self, file: StoredFile) -> CsvHead:
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
        fields = self._fields(content[:end], file)
        if not self._rules.header:
            return CsvHead(self._names(file, len(fields)), marks, 0)
        return CsvHead(tuple(name.strip() for name in fields), marks, end)

    def _fields(self, line: bytes, file: StoredFile) -> list[str]:
        text = line.decode(self._source.recoded or "utf-8", "replace")
        rules = self._rules
        try:
            return next(csv.reader([text], delimiter=rules.delimiter, quotechar=rules.quote), [])
        except csv.Error as error:
            raise InvalidArgument(
                f"the first row of {file.location} cannot be read as CSV: {error}; is it CSV, and"
                " are delimiter and quote those of the file?"
            ) from error

    def _names(self, file: StoredFile, fields: int) -> tuple[str, ...]:
        names = self._rules.names
        if len(names) != fields:
            raise InvalidArgument(
                f"the first row of {file.location} has {fields} fields, but the rules of CSV name"
                f" {len(names)} columns; give a name for each"
            )
        return names


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
