"""A registration: what is uploaded and what the import is told about it."""

import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit, urlunsplit

import msgspec

from augurium.client.code_revision import AUTOMATIC, code_revision
from augurium.client.packaging import package
from augurium.client.results import Artifact
from augurium.client.sources import Source, open_source
from augurium.client.training_data import training_data
from augurium.core.errors import InvalidArgument


class VersionDetails(TypedDict, total=False):
    """What may be said about a version when it is registered.

    `framework` is detected when it is not given, and `engine` chosen by measurement, as is
    `prepacking`: whether ONNX Runtime copies weights into each process for faster batches (`on`) or
    all processes share them (`off`). `card` is Markdown, or the path of a Markdown file.
    `trained_at` without a time zone is UTC.
    `code_revision`, `dataset_uri`, `run_url` and `parent_version` say where it comes from; the code
    revision `auto` asks git in the working directory. `allow_code` permits formats that run code
    when they are loaded, if the server permits them too. A repeated registration with the same
    `idempotency_key` returns the version of the first one.
    """

    framework: str | None
    engine: str | None
    prepacking: Literal["on", "off"] | None
    metrics: dict[str, float]
    tags: dict[str, str]
    description: str
    card: str | os.PathLike[str] | None
    trained_at: datetime | None
    code_revision: str | None
    dataset_uri: str | None
    run_url: str | None
    parent_version: int | None
    allow_code: bool
    idempotency_key: str


LINEAGE = ("code_revision", "dataset_uri", "run_url", "parent_version")


class Parcel(msgspec.Struct, frozen=True):
    """A model to upload: its content or path, the name of its file, and the training data."""

    source: Source
    filename: str
    framework: str | None = None
    table: Source | None = None


def parcel(model: object, data: object, example_inputs: object = None) -> Parcel:
    """A path or URI as it is, read while it is sent; a model in memory in its safe format.

    Raises InvalidArgument for a model that cannot be packaged and for `data` that is not a table.
    """
    if isinstance(model, str | os.PathLike):
        content = open_source(model)
        return Parcel(content, content.name, table=training_data(data))
    in_memory = None if isinstance(data, str | os.PathLike) else data
    packaged = package(
        model, example_inputs=in_memory if example_inputs is None else example_inputs
    )
    table = training_data(data, type(model).__module__.partition(".")[0])
    return Parcel(packaged.content, packaged.filename, packaged.framework, table)


def details_body(details: VersionDetails, data: object = None) -> dict[str, Any]:
    """What was said about a version, as the import request has it.

    The dataset's URI is that of `data` unless it was said.

    Raises InvalidArgument for metrics that are not finite and for a card or a code revision that
    cannot be found.
    """
    return {
        **{key: value for key, value in details.items() if key not in LINEAGE},
        "metrics": _numbers(details.get("metrics") or {}) or None,
        "card": _card(details.get("card")),
        "lineage": _lineage(details, data) or None,
        "trained_at": _with_zone(details.get("trained_at")),
    }


def import_body(
    parcel: Parcel,
    artifact: Artifact,
    said: dict[str, Any],
    table: Artifact | None = None,
    preprocessing: Artifact | None = None,
) -> dict[str, Any]:
    """The body of the import request, without what was not said. `said` is of `details_body`."""
    body = {
        **said,
        "artifact": artifact.digest,
        "filename": parcel.filename,
        "framework": said.get("framework") or parcel.framework,
        "table": None if table is None else table.digest,
        "preprocessing": None if preprocessing is None else preprocessing.digest,
    }
    return {key: value for key, value in body.items() if value is not None}


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _card(card: str | os.PathLike[str] | None) -> str | None:
    if card is None or isinstance(card, str):
        return card
    try:
        return Path(card).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the card {card} cannot be read: {error}") from error


def _lineage(details: VersionDetails, data: object) -> dict[str, Any]:
    said = {key: details.get(key) for key in LINEAGE}
    said["dataset_uri"] = said["dataset_uri"] or _uri(data)
    if said["code_revision"] == AUTOMATIC:
        said["code_revision"] = code_revision(Path.cwd())
    return {key: value for key, value in said.items() if value is not None}


def _uri(data: object) -> str | None:
    """The URI of `data` without what may be secret in it; None for paths and tables in memory."""
    if not isinstance(data, str) or "://" not in data:
        return None
    parts = urlsplit(data)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _numbers(metrics: dict[str, float]) -> dict[str, float]:
    # NumPy's numbers are what scoring functions return; JSON knows neither them nor NaN
    numbers = {name: float(value) for name, value in metrics.items()}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise InvalidArgument(f"metric '{name}' is {value}; expected a finite number")
    return numbers
