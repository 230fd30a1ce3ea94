"""CSV bodies of MLflow's scoring protocol: a header row, then a row per line.

Empty fields and the words that pandas reads as missing are nulls in columns of numbers. In texts an
empty field is null where the model takes missing values, and an empty text elsewhere.
"""

import csv
import io
import math
import re
from collections.abc import Callable
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, TensorSpec
from augurium.protocols.tables import rows_of_table

MISSING = frozenset(
    {"", "#N/A", "N/A", "NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "n/a"}
)
TRUTH = {"true": True, "false": False, "1": True, "0": False}
_integer = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")


def rows_of_csv(content: bytes, signature: Signature) -> Instances:
    """Raises InvalidArgument for what is no table, and for values that do not fit their column."""
    header, *lines = _lines(content)
    # an index without a name, as pandas writes it, is no feature
    places = [place for place, name in enumerate(header) if name]
    names = [header[place] for place in places]
    read = [_reader(name, signature) for name in names]
    rows = []
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise InvalidArgument(
                f"row {number} of the CSV has {len(line)} fields, but the header has {len(header)}"
            )
        rows.append(
            [
                _value(number, name, reader, line[place])
                for name, reader, place in zip(names, read, places, strict=True)
            ]
        )
    if not rows:
        raise InvalidArgument("the CSV has no rows below its header; send at least one")
    return rows_of_table(_columns(names, signature), rows, signature)


def _lines(content: bytes) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the CSV is not UTF-8: {error}") from error
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise InvalidArgument(f"the body is not CSV: {error}") from error
    if not lines:
        raise InvalidArgument("the CSV is empty; send a header row with the names of the columns")
    return lines


def _columns(names: list[str], signature: Signature) -> list[Any]:
    """The names, as the numbers they are where pandas numbered the columns."""
    if all(name.isdecimal() for name in names) and not signature.known_names.intersection(names):
        return [int(name) for name in names]
    return names


def _reader(name: str, signature: Signature) -> Callable[[str], Any]:
    """How the fields of a column are read; those of columns that nobody knows are left alone."""
    by_name = {
        known: spec for spec in signature.inputs for known in (spec.features or (spec.name,))
    }
    spec = by_name.get(name)
    if spec is None and len(signature.inputs) == 1 and not signature.inputs[0].features:
        # a matrix whose features have no names, or a column that will be found to be missing
        spec = signature.inputs[0]
    return str if spec is None else _reader_of(spec)


def _reader_of(spec: TensorSpec) -> Callable[[str], Any]:
    def lenient(read: Callable[[str], Any]) -> Callable[[str], Any]:
        def reader(field: str) -> Any:
            if field in MISSING:
                return None
            try:
                return read(field)
            except ValueError:
                # times are texts, and what a lenient input cannot read it takes as missing
                if spec.moment or spec.lenient:
                    return field
                raise

        return reader

    if spec.datatype == "BYTES":
        return lambda field: None if not field and spec.nullable else field
    if spec.datatype in FLOATS:
        return lenient(_float)
    return lenient(_truth if spec.datatype == "BOOL" else _whole)


def _value(number: int, name: str, read: Callable[[str], Any], field: str) -> Any:
    try:
        return read(field)
    except ValueError as error:
        raise InvalidArgument(
            f"row {number}, column '{name[:64]}' of the CSV: {field[:32]!r} is not {error}"
        ) from error


def _float(field: str) -> float:
    try:
        number = float(field)
    except ValueError:
        number = math.inf
    if "_" in field or (math.isinf(number) and "inf" not in field.lower()):
        raise ValueError("a number in the range of the column")
    return number


def _whole(field: str) -> int:
    if not _integer.fullmatch(field):
        raise ValueError("a whole number")
    return int(field)


def _truth(field: str) -> bool:
    found = TRUTH.get(field.strip().lower())
    if found is None:
        raise ValueError("true or false")
    return found
