"""What an import is asked and what it answers."""

from pathlib import Path
from typing import Any

import msgspec

from augurium.core.signature import Signature


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A model file to make servable.

    `filename` is the name the file had at its owner, because the content alone may not tell a
    format. `framework` is None when it shall be detected. `table` holds the training data as
    Parquet, Arrow IPC, CSV or JSON, see `training_table.py`. `preprocessing` is the JSON of fitted
    transforms. `engine` names the one that shall serve the model, None means the best.
    `prepacking` (`on` or `off`) is how ONNX Runtime shall hold the weights, None means as measured.
    `allow_code` permits pickles where the server's settings permit them too.
    """

    file: Path
    filename: str
    framework: str | None = None
    table: Path | None = None
    preprocessing: Path | None = None
    engine: str | None = None
    prepacking: str | None = None
    allow_code: bool = False


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """A servable model that passed its parity check.

    `servable`, the external `weights` beside it, and the reference `profile` lie in the working
    folder of the import. `examples` are rows as v1 instances. `allowed_code`: the source ran code
    when it was loaded.
    """

    framework: str
    framework_version: str
    runtime: str
    servable: Path
    signature: Signature
    options: dict[str, str] = {}
    report: dict[str, Any] = {}
    weights: Path | None = None
    profile: Path | None = None
    examples: tuple[Any, ...] = ()
    allowed_code: bool = False
