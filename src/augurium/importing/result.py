"""What an import is asked and what it answers."""

from pathlib import Path
from typing import Any

import msgspec

from augurium.core.signature import Signature


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A model file to make servable.

    `filename` is the name the file had at its owner, because the content alone may not tell a
    format. `framework` is None when it shall be detected. `table` is a JSON file with rows of the
    training data: `{"columns": [{"name": "age", "values": [31, null]}]}`, numbers, strings,
    booleans and nulls. `allow_code` permits pickles where the server's settings permit them too.
    """

    file: Path
    filename: str
    framework: str | None = None
    table: Path | None = None
    allow_code: bool = False


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """A servable model that passed its parity check.

    `servable` lies in the working folder of the import.
    """

    framework: str
    framework_version: str
    runtime: str
    servable: Path
    signature: Signature
    options: dict[str, str] = {}
    report: dict[str, Any] = {}
