"""Answers as CSV: a header, commas, quotes where they are needed, UTF-8. Imports pyarrow.

A missing value is nothing, an empty text is `""`. The values of a vector have a column each,
`scores_0`, `scores_1`, or `scores_<label>` where the model's classes have names.
"""

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from augurium.batch.output_fields import is_binary, labels_of
from augurium.batch.text_compression import compressed
from augurium.core.errors import InvalidArgument


class CsvRows:
    """A CSV file with a header."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, compression: str) -> None:
        self._stream = compressed(stream, compression)
        self._writer = csv.CSVWriter(self._stream, _flat_schema(schema))

    def write(self, rows: pa.Table) -> None:
        names, columns = [], []
        for field, column in zip(rows.schema, rows.combine_chunks().columns, strict=True):
            names += _names(field)
            columns += _columns(field, column)
        self._writer.write_table(pa.table(columns, names))

    def close(self) -> None:
        self._writer.close()
        self._stream.close()


def check_columns(schema: pa.Schema) -> None:
    """Raises InvalidArgument for a column that is no text, number, time or vector of them, and for
    one that has the name of a vector's value.
    """
    for field in schema:
        if pa.types.is_nested(_kind(field)) or is_binary(_kind(field)):
            raise InvalidArgument(
                f"CSV cannot hold column '{field.name}' of type {field.type}; leave it out, or "
                "write Parquet, Arrow or JSON Lines"
            )
    names = _flat_schema(schema).names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(
            f"two columns of the output would be called '{twice}', because the values of a vector "
            "have a column each in CSV; leave one out, or write Parquet, Arrow or JSON Lines"
        )


def _flat_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(name, _kind(field)) for field in schema for name in _names(field)])


def _kind(field: pa.Field) -> pa.DataType:
    return field.type.value_type if pa.types.is_fixed_size_list(field.type) else field.type


def _names(field: pa.Field) -> list[str]:
    if not pa.types.is_fixed_size_list(field.type):
        return [field.name]
    labels = labels_of(field) or range(field.type.list_size)
    return [f"{field.name}_{label}" for label in labels]


def _columns(field: pa.Field, column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    if not pa.types.is_fixed_size_list(field.type):
        return [column]
    return [pc.list_element(column, place) for place in range(field.type.list_size)]
