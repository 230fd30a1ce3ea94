"""A registration: what is uploaded and what the import is told about it."""

import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from augurium.client.packaging import package
from augurium.client.results import Artifact
from augurium.client.sample_table import sample_table
from augurium.client.upload import Source
from augurium.core.errors import InvalidArgument


class VersionDetails(TypedDict, total=False):
    """What may be said about a version when it is registered.

    `framework` is detected when it is not given. `trained_at` without a time zone is UTC.
    `allow_code` permits formats that run code when they are loaded, if the server permits them too.
    A repeated registration with the same `idempotency_key` returns the version of the first one.
    """

    framework: str | None
    metrics: dict[str, float]
    tags: dict[str, str]
    description: str
    trained_at: datetime | None
    allow_code: bool
    idempotency_key: str


class Parcel(msgspec.Struct, frozen=True):
    """A model to upload: its content or path, the name of its file, and a table of sample rows."""

    source: Source
    filename: str
    framework: str | None = None
    table: bytes | None = None


def parcel(model: object, data: object) -> Parcel:
    """A path as it is, read while it is sent; a model in memory in its framework's safe format.

    Raises InvalidArgument for a model that cannot be packaged and for `data` that is not a table.
    """
    if isinstance(model, str | os.PathLike):
        path, table = Path(model), None if data is None else sample_table(data)
        return Parcel(path, path.name, table=table)
    packaged = package(model, data)
    return Parcel(packaged.content, packaged.filename, packaged.framework, packaged.table)


def import_body(
    parcel: Parcel, artifact: Artifact, table: Artifact | None, details: VersionDetails
) -> dict[str, Any]:
    """The body of the import request, without what was not said."""
    trained_at = details.get("trained_at")
    if trained_at is not None and trained_at.tzinfo is None:
        trained_at = trained_at.replace(tzinfo=UTC)
    said = {
        **details,
        "artifact": artifact.digest,
        "filename": parcel.filename,
        "framework": details.get("framework") or parcel.framework,
        "metrics": _numbers(details.get("metrics") or {}) or None,
        "table": None if table is None else table.digest,
        "trained_at": trained_at,
    }
    return {key: value for key, value in said.items() if value is not None}


def _numbers(metrics: dict[str, float]) -> dict[str, float]:
    # NumPy's numbers are what scoring functions return; JSON knows neither them nor NaN
    numbers = {name: float(value) for name, value in metrics.items()}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise InvalidArgument(f"metric '{name}' is {value}; expected a finite number")
    return numbers
