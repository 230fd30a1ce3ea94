"""Training tables as streams of batches: files, pyarrow, pandas, plain columns, iterators."""

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument, NotFound
from augurium.preprocessing.raw_values import columns_of_table

BATCH_ROWS = 65_536
BUFFER_BYTES = 256 * 1024  # of each column; without it a whole row group is read at once
Batch = Mapping[str, Any]
SUFFIXES = (".parquet", ".csv", ".arrow", ".feather", ".ipc")


class TableStream(msgspec.Struct, frozen=True):
    """A table to be read in batches. `types` are `number`, `text`, `datetime` by column.

    `rows` is None where only reading tells; `open` starts from the beginning, once if `once`.
    """

    types: dict[str, str]
    open: Callable[[tuple[str, ...]], Iterator[Batch]]
    rows: int | None = None
    once: bool = False


def stream(table: Any, declared: Mapping[str, str | None] | None = None) -> TableStream:
    """The stream of a table: a path of Parquet, CSV or Arrow IPC, a table of pyarrow or pandas,
    columns by name, or an iterator of any of these (read once).

    `declared` types decide how the columns of a CSV are read: digits may be texts, and among
    numbers there may be texts. Raises NotFound and InvalidArgument for files that are not there or
    cannot be read.
    """
    if isinstance(table, str | Path):
        return _of_file(Path(table), declared or {})
    if isinstance(table, Mapping) or hasattr(table, "column_names") or hasattr(table, "columns"):
        return _of_columns(columns_of_table(table))
    if isinstance(table, Iterable):
        return _of_iterator(iter(table))
    raise InvalidArgument(
        f"a {type(table).__name__} is not a table; expected a file, a pyarrow or pandas table,"
        " columns by name, or an iterator of these"
    )


@contextmanager
def batch_from(row: int) -> Iterator[None]:
    """Says in errors at which row of the table the batch at hand begins."""
    try:
        yield
    except InvalidArgument as error:
        if not row:
            raise
        raise InvalidArgument(f"in the batch from row {row} of the table: {error}") from error


def _of_file(file: Path, declared: Mapping[str, str | None]) -> TableStream:
    if not file.is_file():
        raise NotFound(f"there is no file '{file}'")
    if file.suffix not in SUFFIXES:
        raise InvalidArgument(
            f"'{file.name}' is not a table; expected a file ending in {', '.join(SUFFIXES)}"
        )
    arrow = _arrow("pyarrow")
    try:
        if file.suffix == ".csv":
            return _of_csv(file, declared)
        return _of_parquet(file) if file.suffix == ".parquet" else _of_ipc(file)
    except arrow.ArrowException as error:
        raise _unreadable(file, error) from error


def _of_parquet(file: Path) -> TableStream:
    parquet = _arrow("pyarrow.parquet")
    with parquet.ParquetFile(file) as opened:
        schema, rows = opened.schema_arrow, opened.metadata.num_rows

    def batches(columns: tuple[str, ...]) -> Iterator[Batch]:
        # read-ahead of whole row groups would take memory by their size
        with parquet.ParquetFile(
            file,
            pre_buffer=False,
            buffer_size=BUFFER_BYTES,
            page_checksum_verification=True,
        ) as opened:
            yield from map(
                columns_of_record_batch, opened.iter_batches(BATCH_ROWS, columns=list(columns))
            )

    return TableStream(_arrow_types(schema), _translated(file, batches), rows)


def _of_csv(file: Path, declared: Mapping[str, str | None]) -> TableStream:
    csv = _arrow("pyarrow.csv")
    with csv.open_csv(file) as opened:
        schema = opened.schema
    types = _arrow_types(schema)

    def batches(columns: tuple[str, ...]) -> Iterator[Batch]:
        options = csv.ConvertOptions(
            include_columns=list(columns),
            column_types={
                name: _csv_type(schema.field(name).type, declared.get(name)) for name in columns
            },
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        mixed = [n for n in columns if declared.get(n) == "number" and types[n] == "text"]
        with csv.open_csv(file, convert_options=options) as opened:
            for batch in opened:
                found = columns_of_record_batch(batch)
                yield {**found, **{name: _with_numbers(found[name]) for name in mixed}}

    return TableStream(types, _translated(file, batches))


def _with_numbers(texts: Any) -> Any:
    """Texts with numbers in place of those that are some: a CSV tells no types."""
    found = np.empty(len(texts), np.object_)
    found[:] = list(map(_number, texts.to_pylist()))
    return found


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _csv_type(found: Any, declared: str | None) -> Any:
    """What the first block shows, and what may come later: fractions behind whole numbers or
    seconds, values where there were none.
    """
    types = _arrow("pyarrow.types")
    arrow = _arrow("pyarrow")
    if declared == "text" or (declared == "datetime" and types.is_null(found)):
        return arrow.string()
    if types.is_integer(found) or (declared == "number" and types.is_null(found)):
        return arrow.float64()
    if types.is_timestamp(found):
        return arrow.timestamp("us", found.tz)
    return arrow.string() if types.is_null(found) else found


def _of_ipc(file: Path) -> TableStream:
    ipc = _arrow("pyarrow.ipc")
    arrow = _arrow("pyarrow")
    with arrow.memory_map(str(file)) as mapped, ipc.open_file(mapped) as opened:
        schema = opened.schema

    def batches(columns: tuple[str, ...]) -> Iterator[Batch]:
        with arrow.memory_map(str(file)) as mapped, ipc.open_file(mapped) as opened:
            for number in range(opened.num_record_batches):
                batch = opened.get_batch(number).select(list(columns))
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield columns_of_record_batch(batch.slice(start, BATCH_ROWS))

    return TableStream(_arrow_types(schema), _translated(file, batches))


def columns_of_record_batch(batch: Any) -> Batch:
    """The columns of a batch of pyarrow by name."""
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _of_columns(columns: Mapping[str, Any]) -> TableStream:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise InvalidArgument(
            f"the columns of the table have {sorted(set(lengths.values()))[:8]} values; all need"
            " the same number, at least 1"
        )
    rows = next(iter(lengths.values()))

    def batches(names: tuple[str, ...]) -> Iterator[Batch]:
        for start in range(0, rows, BATCH_ROWS):
            yield {name: columns[name][start : start + BATCH_ROWS] for name in names}

    return TableStream({name: _type(v) for name, v in columns.items()}, batches, rows)


def _of_iterator(batches: Iterator[Any]) -> TableStream:
    first = next(batches, None)
    if first is None:
        raise InvalidArgument("the table has no batches; expected at least one row")
    columns = columns_of_table(first)

    def read(names: tuple[str, ...]) -> Iterator[Batch]:
        for batch in itertools.chain([first], batches):
            given = columns_of_table(batch)
            missing = [name for name in names if name not in given]
            if missing:
                raise InvalidArgument(f"a batch of the table lacks the columns {missing[:8]}")
            yield {name: given[name] for name in names}

    return TableStream({name: _type(v) for name, v in columns.items()}, read, once=True)


def _translated(
    file: Path, batches: Callable[[tuple[str, ...]], Iterator[Batch]]
) -> Callable[[tuple[str, ...]], Iterator[Batch]]:
    """The same, with pyarrow's errors in our words."""

    def read(columns: tuple[str, ...]) -> Iterator[Batch]:
        try:
            yield from batches(columns)
        except _arrow("pyarrow").ArrowException as error:
            raise _unreadable(file, error) from error

    return read


def _arrow_types(schema: Any) -> dict[str, str]:
    found = {name: _arrow_type(schema.field(i).type) for i, name in enumerate(schema.names)}
    if len(found) != len(schema.names):
        raise InvalidArgument("the table names a column twice; give every column its own name")
    return found


def _arrow_type(found: Any) -> str:
    types = _arrow("pyarrow.types")
    if types.is_dictionary(found):
        return _arrow_type(found.value_type)
    if types.is_timestamp(found) or types.is_date(found):
        return "datetime"
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return "text" if any(is_text(found) for is_text in texts) else "number"


def _type(values: Any) -> str:
    if hasattr(values, "type") and not isinstance(values, np.ndarray):
        return _arrow_type(values.type)
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "fiub":
        return "number"
    if kind == "M":
        return "datetime"
    for value in list(values[:1000]):
        if isinstance(value, str):
            return "text"
        if hasattr(value, "isoformat") and value == value:
            return "datetime"
        if value is not None and value == value:
            return "number"
    return "number"


def _arrow(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidArgument(
            "reading this table needs pyarrow; run: pip install 'augurium[tables]'"
        ) from error


def _unreadable(file: Path, error: Exception) -> InvalidArgument:
    said = (str(error).splitlines() or [""])[0][:300]
    return InvalidArgument(f"'{file.name}' cannot be read: {said}; correct it or write it again")
