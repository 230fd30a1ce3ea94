"""Rows of feedback in files: JSON Lines, CSV and Parquet, read while they are sent."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from augurium.core.errors import InvalidArgument

# how often the fraction is told anew
STEP = 1000
TRUTHS = {"true": True, "false": False}
# a row, and which fraction of the file was read
Rows = Iterator[tuple[dict[str, Any], float]]


def feedback_rows(file: Path) -> Rows:
    """The rows of a file, by its suffix. Raises InvalidArgument for what cannot be read."""
    if file.suffix in (".ndjson", ".jsonl", ".json"):
        return _lines(file)
    if file.suffix == ".csv":
        return _csv(file)
    if file.suffix == ".parquet":
        return _parquet(file)
    raise InvalidArgument(f"{file} has another suffix; expected .ndjson, .jsonl, .csv or .parquet")


def _lines(file: Path) -> Rows:
    decoder = msgspec.json.Decoder(dict[str, Any])
    size, read, place = file.stat().st_size or 1, 0, 0
    with file.open("rb") as stream:
        for place, line in enumerate(stream, 1):
            read += len(line)
            if line.isspace():
                continue
            try:
                yield decoder.decode(line), read / size
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidArgument(f"{file} line {place} is no JSON object: {error}") from error


def _csv(file: Path) -> Rows:
    size, fraction = file.stat().st_size or 1, 0.0
    with file.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as stream:
        try:
            for place, row in enumerate(csv.DictReader(stream)):
                if place % STEP == 0:
                    fraction = min(1.0, raw.tell() / size)
                yield {key: _typed(key, text) for key, text in row.items() if text}, fraction
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{file} cannot be read as CSV: {error}") from error


def _typed(column: str, text: Any) -> Any:
    """A number where one belongs; what is none goes as it is, and the server says so."""
    if column not in ("value", "at") or not isinstance(text, str):
        return text
    if column == "value" and text.lower() in TRUTHS:
        return TRUTHS[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text


def _parquet(file: Path) -> Rows:
    # here: most commands read no Parquet
    import duckdb

    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            name = [str(file)]
            columns = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", name)
            read = ", ".join(_selected(column, kind) for column, kind, *_ in columns.fetchall())
            counted = connection.execute("SELECT count(*) FROM read_parquet($1)", name).fetchone()
            rows = f"SELECT {read} FROM read_parquet($1)"  # noqa: S608 - quoted
            yield from _blocks(connection.execute(rows, name), (counted or (0,))[0])
    except duckdb.Error as error:
        raise InvalidArgument(f"{file} cannot be read as Parquet: {error}") from error


def _selected(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    # a time without a zone is one of UTC
    return f"epoch({quoted}) AS {quoted}" if kind.startswith("TIMESTAMP") else quoted


def _blocks(found: Any, total: int) -> Rows:
    names = [column[0] for column in found.description]
    read = 0
    while block := found.fetchmany(STEP):
        read += len(block)
        for values in block:
            pairs = zip(names, values, strict=True)
            yield {name: value for name, value in pairs if value is not None}, read / total
