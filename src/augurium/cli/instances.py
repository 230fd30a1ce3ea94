"""Instances on the command line: JSON, JSON lines or CSV, from a file or standard input."""

import csv
import io
import re
from pathlib import Path
from typing import Any, TextIO

import msgspec

from augurium.core.errors import InvalidArgument

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def read_instances(source: str, stdin: TextIO) -> list[Any]:
    """The instances of `source`: JSON text, `-` for standard input, or the path of a file.

    Raises InvalidArgument saying what cannot be read, and where.
    """
    if source.lstrip().startswith(("[", "{")):
        return parse_instances(source)
    if source == "-":
        return parse_instances(stdin.read())
    try:
        return parse_instances(Path(source).read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            f"input {source!r} cannot be read ({error}); expected a file, - for standard input, "
            'or JSON such as [{"age": 31}]'
        ) from error


def parse_instances(text: str) -> list[Any]:
    """A JSON list is the instances, a JSON object is one; several lines of JSON are one each.

    Anything else is CSV with a header: numbers are read as such, an empty field is null.
    """
    text = text.strip()
    if not text:
        raise InvalidArgument("the input is empty; expected JSON, JSON lines or CSV with a header")
    if not text.startswith(("[", "{")):
        return _from_csv(text)
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) == 1:
            raise InvalidArgument(f"the input is not JSON: {error}") from error
        return _from_lines(lines, error)
    return found if isinstance(found, list) else [found]


def _from_lines(lines: list[str], whole: msgspec.DecodeError) -> list[Any]:
    instances = []
    for number, line in enumerate(lines, start=1):
        try:
            instances.append(msgspec.json.decode(line))
        except msgspec.DecodeError as error:
            raise InvalidArgument(
                f"the input is neither JSON ({whole}) nor JSON lines (line {number}: {error})"
            ) from error
    return instances


def _from_csv(text: str) -> list[dict[str, Any]]:
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(rows)
        return [_instance(header, row, rows.line_num) for row in rows if row]
    except csv.Error as error:
        raise InvalidArgument(f"the input is not CSV, line {rows.line_num}: {error}") from error


def _instance(header: list[str], row: list[str], line: int) -> dict[str, Any]:
    if len(row) != len(header):
        raise InvalidArgument(
            f"CSV line {line} has {len(row)} fields; expected {len(header)}, as in the header"
        )
    return {name: _value(field) for name, field in zip(header, row, strict=True)}


def _value(field: str) -> Any:
    if not field:
        return None
    if not NUMBER.fullmatch(field):
        return field
    return int(field) if field.lstrip("+-").isdecimal() else float(field)
