"""Rows of JSON Lines: an object in each line. Imports pyarrow.

Lines are decoded by msgspec, straight to the types that are wanted: pyarrow 26 ends the process on
a line that is `null`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from augurium.batch.discovery import InputFile
from augurium.batch.file_format import Layout, RawBlock, Reject, no_columns, numbered
from augurium.batch.json_columns import json_column
from augurium.batch.partition import Fragment, RejectedRow
from augurium.batch.record_blocks import Marks, RecordBlock
from augurium.batch.storage import Storage
from augurium.batch.text_rows import TypedColumn, blocks_of, pieces_of, rejecting, typed_columns
from augurium.batch.text_source import TextSource
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature

MARKS = Marks()
SAMPLED_ROWS = 1000
# what msgspec says after the reason; a name may hold anything but a backtick
_PLACE = re.compile(r" - at `\$\.?([^`]*?)(?:\[[.\d]+\])*`$")
_LONG = range(-(2**63), 2**63)


class JsonLinesInput:
    """Columns of features have the types of the signature. What others are is told by the first
    rows of the first file: texts, numbers, true and false; the rest is kept as JSON.

    `schema` has the columns as they were found when the job was planned.
    """

    def __init__(
        self,
        storage: Storage,
        encoding: str,
        signature: Signature,
        columns: Mapping[str, str],
        schema: pa.Schema | None = None,
    ) -> None:
        self._source = TextSource(storage, encoding)
        self._types = typed_columns(signature, columns)
        self._schema = schema

    def layout(self, file: InputFile, partition_rows: int | None) -> Layout:
        if not file.stored.size_bytes:
            return Layout(pa.schema([]), ())
        if self._schema is None:
            self._schema = self._sampled(file)
        begin = self._source.mark_bytes(file.stored)
        return Layout(self._schema, pieces_of(self._source, file, begin, MARKS, partition_rows))

    def blocks(
        self, fragment: Fragment, columns: Sequence[str], reject: Reject
    ) -> Iterator[RawBlock]:
        schema = self._schema or pa.schema([])
        wanted = pa.schema([schema.field(name) for name in columns if name in schema.names])
        decoder = _Decoder(wanted, self._types, self._source.recoded)
        stored = self._source.same_file(fragment)
        for block in blocks_of(self._source, stored, fragment, MARKS, False, reject):
            found = decoder.decoded(block, fragment.file, reject)
            if len(found.rows):
                yield found

    def _sampled(self, file: InputFile) -> pa.Schema:
        """The columns of the first rows, in the order in which they are met."""
        content = self._source.head(file.stored)
        lines = content.decode(self._source.recoded or "utf-8", "replace").split("\n")
        values: dict[str, list[Any]] = {}
        for line in itertools.islice(lines, SAMPLED_ROWS):
            for name, value in _object(line).items():
                values.setdefault(name, []).append(value)
        if not values:
            raise InvalidArgument(
                f"{file.location} does not begin with objects, one in each line; expected JSON"
                ' Lines such as {"amount": 10.5}'
            )
        return pa.schema([(name, self._kind(name, found)) for name, found in values.items()])

    def _kind(self, name: str, values: Sequence[Any]) -> Any:
        if name in self._types:
            return self._types[name].kind
        kinds = {type(value) for value in values if value is not None}
        if kinds == {bool}:
            return pa.bool_()
        if kinds == {int} and all(value in _LONG for value in values if value is not None):
            return pa.int64()
        return pa.float64() if kinds and kinds <= {int, float} else pa.string()


class _Decoder:
    """Decodes lines to columns of a schema."""

    def __init__(self, schema: pa.Schema, types: Mapping[str, TypedColumn], recoded: str) -> None:
        self._schema = schema
        self._recoded = recoded
        self._columns = [json_column(field.type, types.get(field.name)) for field in schema]
        fields = [
            (f"c{place}", column.decoded | None, msgspec.field(name=name, default=None))
            for place, (name, column) in enumerate(zip(schema.names, self._columns, strict=True))
        ]
        self._row = msgspec.json.Decoder(msgspec.defstruct("Row", fields, gc=False))

    def decoded(self, block: RecordBlock, file: str, reject: Reject) -> RawBlock:
        """The rows of a block. Tells of those that are none; empty lines are not told of."""
        try:
            lines = self._utf8(block.content).split(b"\n")
            if not lines[-1]:
                lines.pop()
            # line by line: what msgspec takes for the next object may be in the same line
            rows = list(map(self._row.decode, lines))
            return RawBlock(self._batch(rows), numbered(block.first_record, block.records))
        except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
            pass  # it does not say in which line
        return self._one_by_one(block, file, reject)

    def _one_by_one(self, block: RecordBlock, file: str, reject: Reject) -> RawBlock:
        rows: dict[int, Any] = {}
        tell = rejecting(file, reject)
        for number, line in enumerate(block.content.split(b"\n"), block.first_record):
            if not line.strip():
                continue
            try:
                rows[number] = self._row.decode(self._utf8(line))
            except msgspec.ValidationError as error:
                reason, column = _told(error)
                reject(RejectedRow(file, number, column, "wrong_type", reason))
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                tell(number, "malformed", f"the line is no JSON object: {error}")
        try:
            found = self._batch([*rows.values()])
        except OverflowError:
            for number, column, reason in self._too_large(rows):
                rows.pop(number)
                reject(RejectedRow(file, number, column, "wrong_type", reason))
            found = self._batch([*rows.values()])
        return RawBlock(found, np.array([*rows], np.int64))

    def _utf8(self, content: bytes) -> bytes:
        return content.decode(self._recoded).encode() if self._recoded else content

    def _batch(self, rows: Sequence[Any]) -> Any:
        """The rows in columns. Raises OverflowError for a number that is too large."""
        if not self._columns:
            return no_columns(len(rows))
        values = list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [()] * len(
            self._columns
        )
        arrays = [column.array(found) for column, found in zip(self._columns, values, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _too_large(self, rows: Mapping[int, Any]) -> list[tuple[int, str, str]]:
        """The rows with a number that is too large: the number of each, the column, the reason."""
        found: dict[int, tuple[int, str, str]] = {}
        for number, row in rows.items():
            values = msgspec.structs.astuple(row)
            for value, column, name in zip(values, self._columns, self._schema.names, strict=True):
                if number not in found and not column.holds(value):
                    reason = f"{value!r} is out of the range of {column.kind}"
                    found[number] = (number, name, reason)
        return list(found.values())


def _object(line: str) -> dict[str, Any]:
    """The object of a line; none for one that is cut off, or none."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _told(error: Exception) -> tuple[str, str]:
    """The reason, and the column at fault."""
    text = str(error)
    place = _PLACE.search(text)
    reason = _PLACE.sub("", text).replace("`", "'").replace(" | null", "")
    return reason[:1].lower() + reason[1:], place.group(1) if place else ""
