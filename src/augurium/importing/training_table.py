"""The training data as its owner sent it: Parquet, Arrow IPC, CSV or JSON, told from the content.

A table is read in blocks, as often as needed, and never held whole. Numbers come as float64:
booleans as 0 and 1, times as seconds since 1970 (times of a day and durations as seconds), decimals
rounded. Columns of other types (lists, structs) are left out and named in `left_out`; so are those
of bytes, which are texts of another kind for models that take them (`binary`).
"""

import importlib.util
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.statistics.values import Values

MAX_COLUMNS = 10_000
MAX_ROWS = 100_000_000
MAX_BLOCK_ROWS = 65536
MIN_BLOCK_ROWS = 256
MAX_BLOCK_CELLS = 4 * 1024**2
HEAD_BYTES = 4096
TAR_MAGIC_AT = 257
EXPECTED = "expected Parquet, Arrow IPC, CSV with a header, or JSON"
OTHERS = {
    b"FEA1": "an old Feather file; save it again, current versions write Arrow IPC",
    b"\x1f\x8b": "compressed with gzip; send it uncompressed, or as Parquet",
    b"(\xb5/\xfd": "compressed with zstd; send it uncompressed, or as Parquet",
    b"BZh": "compressed with bzip2; send it uncompressed, or as Parquet",
    b"PK\x03\x04": "a zip archive or an Excel file; save the sheet as CSV",
    b"\x80": "a pickle, which is never loaded; save it as Parquet",
    b"\x93NUMPY": "a NumPy array without names; save it as a table",
    b"\xff\xfe": "not UTF-8; save it as UTF-8",
    b"\xfe\xff": "not UTF-8; save it as UTF-8",
}

Block = Mapping[str, Values]


class Kind(StrEnum):
    """What the values of a column are."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"


Kinds = Mapping[str, Kind]
NOTHING: Kinds = {}


class Field(msgspec.Struct, frozen=True):
    """A column that can be used."""

    name: str
    kind: Kind

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return self.kind is Kind.TEXT


class TrainingTable(Protocol):
    """A table in a file. `left_out` names the columns that cannot be used, with their types."""

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def left_out(self) -> tuple[str, ...]: ...

    def blocks(self) -> Iterator[Block]:
        """The columns by name, block by block.

        Raises InvalidArgument where the file is damaged or has too many rows.
        """
        ...


def open_table(file: Path, declared: Kinds = NOTHING, binary: bool = False) -> TrainingTable:
    """The table of a file. `declared` kinds are those of a CSV's columns, whatever they look like:
    digits may be texts, and among numbers there may be texts. With `binary`, columns of bytes count
    as texts, in which what is not UTF-8 is `bytes`.

    Raises InvalidArgument for what is not a table or not of unique names, and Unprocessable when
    a package is missing to read it.
    """
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise InvalidArgument(f"the training table is empty; {EXPECTED}")
    if head[TAR_MAGIC_AT:].startswith(b"ustar"):
        raise InvalidArgument(f"the training table is a folder; send one of its files; {EXPECTED}")
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise InvalidArgument(f"the training table is {what}; {EXPECTED}")
    table = _opened(file, head, declared, binary)
    _check_fields(table)
    return table


def checked_blocks(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks that hold rows. Raises InvalidArgument for none and for too many rows."""
    rows = 0
    for block in blocks:
        count = len(next(iter(block.values())))
        rows += count
        if rows > MAX_ROWS:
            raise InvalidArgument(
                f"the training table has more than {MAX_ROWS} rows; send a sample of it"
            )
        if count:
            yield block
    if not rows:
        raise InvalidArgument("the training table has no rows; at least 1 is needed")


def block_rows(columns: int) -> int:
    """How many rows are read at once."""
    return max(MIN_BLOCK_ROWS, min(MAX_BLOCK_ROWS, MAX_BLOCK_CELLS // max(1, columns)))


def _opened(file: Path, head: bytes, declared: Kinds, binary: bool) -> TrainingTable:
    # what is not needed is not imported: pyarrow takes a moment, and may be missing
    if head.startswith(b"PAR1"):
        _check_pyarrow("a Parquet file")
        from augurium.importing.arrow_tables import ParquetTable

        return ParquetTable(file, binary)
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        _check_pyarrow("an Arrow file")
        from augurium.importing.arrow_tables import IpcTable

        return IpcTable(file, binary)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        from augurium.importing.json_table import JsonTable

        return JsonTable(file, binary)
    if importlib.util.find_spec("pyarrow") is not None:
        from augurium.importing.arrow_csv import ArrowCsvTable

        return ArrowCsvTable(file, declared)
    from augurium.importing.plain_csv import PlainCsvTable

    return PlainCsvTable(file, declared)


def _check_pyarrow(what: str) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise Unprocessable(
            f"the training table is {what}, and this server lacks pyarrow to read it; "
            "run: pip install 'augurium[tables]', or send CSV or JSON"
        )


def _check_fields(table: TrainingTable) -> None:
    names = [field.name for field in table.fields]
    if not names:
        left = f": {', '.join(table.left_out[:8])}" if table.left_out else ""
        raise InvalidArgument(
            "the training table has no column of numbers, strings, booleans or times" + left
        )
    if len(names) > MAX_COLUMNS:
        raise InvalidArgument(
            f"the training table has {len(names)} columns; at most {MAX_COLUMNS} are allowed"
        )
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:8]
        raise InvalidArgument(
            f"the table names a column twice: {twice}; give every column its own name"
        )
