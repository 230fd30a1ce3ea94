"""Folders `column=value` for rows that have the same values in some columns. Imports pyarrow.

Values are escaped as Apache Hive does (org.apache.hadoop.hive.common.FileUtils.escapePathName), and
a missing or empty one is `__HIVE_DEFAULT_PARTITION__`: Spark, DuckDB, pyarrow and Polars read that.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from augurium.batch.output_fields import is_binary
from augurium.core.errors import InvalidArgument

DEFAULT = "__HIVE_DEFAULT_PARTITION__"
MOST_NAME_BYTES = 255
_ESCAPED = frozenset("\"#%'*/:=?\\{[]^\x7f") | {chr(code) for code in range(32)}


class FolderRows(NamedTuple):
    """Rows of one folder, without the columns that its name tells."""

    folder: str
    rows: pa.Table


def split(table: pa.Table, columns: Sequence[str]) -> Iterator[FolderRows]:
    """The rows by folder, in the order in which folders come first; rows keep their order.

    Raises InvalidArgument for a value that is too long for the name of a folder.
    """
    if not table.num_rows:
        return
    keys = [_codes(table[column]) for column in columns]
    groups = _groups([codes for codes, _ in keys], table.num_rows)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    others = table.drop_columns(list(columns))
    # each is a copy, or the few rows of a rare value would keep all the others in memory
    for places in sorted(np.split(order, starts[1:]), key=_first):
        values = [texts[codes[places[0]]] for codes, texts in keys]
        yield FolderRows(folder_name(columns, values), others.take(pa.array(places)))


def check_folder_columns(fields: Sequence[pa.Field]) -> None:
    """Raises InvalidArgument for columns whose values have no texts."""
    for field in fields:
        kind = field.type
        if pa.types.is_nested(kind) or is_binary(kind):
            raise InvalidArgument(
                f"the output cannot be partitioned by '{field.name}', because folders cannot be "
                f"named by values of type {kind}; choose a column of texts, numbers or times"
            )


def folder_name(columns: Sequence[str], values: Sequence[str]) -> str:
    """`country=DE/day=2026-01-31`. Raises InvalidArgument for a value that is too long."""
    return "/".join(map(_part, columns, values))


def _part(column: str, value: str) -> str:
    part = f"{escaped(column)}={escaped(value) if value else DEFAULT}"
    if len(part.encode()) > MOST_NAME_BYTES:
        raise InvalidArgument(
            f"column '{column}' has the value {value[:32]!r}..., which is too "
            f"long for the name of a folder ({MOST_NAME_BYTES} bytes); partition by another column"
        )
    return part


def escaped(text: str) -> str:
    """As Hive escapes it."""
    if _ESCAPED.isdisjoint(text):
        return text
    return "".join(f"%{ord(one):02X}" if one in _ESCAPED else one for one in text)


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    """For every row the place of its value among the texts of the column's values, which differ; a
    missing value is an empty one.
    """
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    known: dict[str, int] = {}
    texts = pc.cast(encoded.dictionary, pa.string()).to_pylist()
    places = [known.setdefault(text or "", len(known)) for text in texts]
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return np.array(places, np.int64)[indices], list(known)


def _first(places: npt.NDArray[np.int64]) -> int:
    return int(places[0])


def _groups(codes: list[npt.NDArray[np.int64]], rows: int) -> npt.NDArray[np.int64]:
    """One number per combination of codes."""
    groups = np.zeros(rows, np.int64)
    for column in codes:
        combined = groups * (int(column.max(initial=0)) + 1) + column
        _, groups = np.unique(combined, return_inverse=True)
    return groups
