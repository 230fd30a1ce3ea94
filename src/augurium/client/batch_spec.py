"""A batch job as Python code and the command line ask for it, made into what the server takes."""

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec

from augurium.core.batch_job import BadRows, BatchSpec
from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_model_name, model_ref

Location = str | PathLike[str]
PERCENT = 100.0


class BatchOptions(TypedDict, total=False):
    """What may be said of a job besides its model, its input and its output.

    `columns` gives the column of a feature by its name, `keep` are columns that are passed through
    (`*`: all), `where` a SQL expression; `delimiter` to `null_values` are about CSV files.
    `max_bad_rows` is a count, or a share such as `0.1%`. See `BatchSpec` for the others.
    """

    format: str
    columns: Mapping[str, str]
    keep: Sequence[str]
    where: str
    delimiter: str
    quote: str
    header: bool
    names: Sequence[str]
    encoding: str
    null_values: Sequence[str]
    output_format: str
    mode: str
    partition_by: Sequence[str]
    outputs: Sequence[str]
    compression: str
    max_bad_rows: int | str
    batch_size: int | None
    workers: int | None
    partition_rows: int
    seed: int
    priority: int
    engine: str
    runtime: str
    explain: bool
    labels: Mapping[str, str]


CSV = ("delimiter", "quote", "header", "names", "encoding", "null_values")
INPUT = ("format", "columns", "keep", "where")
OUTPUT = {"output_format": "format"} | {
    name: name for name in ("mode", "partition_by", "outputs", "compression")
}
SEQUENCES = frozenset({"keep", "names", "null_values", "partition_by", "outputs"})


def batch_spec(
    model: str,
    inputs: Location | Sequence[Location],
    output: Location,
    **options: Unpack[BatchOptions],
) -> BatchSpec:
    """The job that scores the rows of `inputs` with `name`, `name@3` or `name@champion`.

    Paths that are not absolute are those below the current folder. Raises InvalidArgument for what
    does not fit.
    """
    wanted, given = model_ref(model), dict[str, Any](options)
    check_model_name(wanted.name)
    for name in SEQUENCES & given.keys():
        if isinstance(given[name], str):
            raise InvalidArgument(f"{name} is a text; expected a list of texts")
    places = [inputs] if isinstance(inputs, str | PathLike) else inputs
    csv = {name: given.pop(name) for name in CSV if name in given}
    asked: dict[str, Any] = {
        "model": wanted.name,
        "version": wanted.version,
        "alias": wanted.alias or "",
        "input": {"paths": [location(place) for place in places], "csv": csv}
        | {name: given.pop(name) for name in INPUT if name in given},
        "output": {"path": location(output)}
        | {field: given.pop(name) for name, field in OUTPUT.items() if name in given},
    }
    if "max_bad_rows" in given:
        asked["max_bad_rows"] = bad_rows(given.pop("max_bad_rows"))
    try:
        return msgspec.convert(asked | given, BatchSpec)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the batch job does not fit: {error}") from error


def location(place: Location) -> str:
    """A URL as it is, and a path from the root on."""
    text = os.fspath(place)
    if "://" in text or not text:
        return text
    return str(Path(text).absolute())


def bad_rows(limit: int | str) -> BadRows:
    """Reads a count, such as 100, or a share, such as `0.1%`. Raises InvalidArgument."""
    text = str(limit).strip()
    try:
        if text.endswith("%"):
            return msgspec.convert({"share": float(text[:-1]) / PERCENT}, BadRows)
        return msgspec.convert({"count": int(text)}, BadRows)
    except (ValueError, msgspec.ValidationError):
        raise InvalidArgument(
            f"'{text[:32]}' is no number of bad rows; expected a count such as 100, or a share of"
            " the rows such as 0.1%"
        ) from None
