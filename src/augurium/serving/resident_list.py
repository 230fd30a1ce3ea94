"""Which versions were in memory, on disk for the next start of the same engine."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from augurium.core.files import replace_content

Keys = list[tuple[str, int]]


class ResidentList:
    """A file with models and versions, the last used first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written: Keys | None = None

    def read(self) -> Keys:
        """What was written last; empty if that is nothing, or damaged."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Keys)
        except (OSError, msgspec.MsgspecError):
            return []

    def write(self, keys: Sequence[tuple[str, int]]) -> None:
        """Keeps these, if they are others than before; a full disk costs the next start only."""
        if list(keys) != self._written:
            with suppress(OSError):
                replace_content(self._file, msgspec.json.encode(keys))
                self._written = list(keys)
