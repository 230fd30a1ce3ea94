"""How versions batch where whoever loaded them said so: kept beside the registry, on this node."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from augurium.core.errors import AuguriumError
from augurium.core.files import write_atomically
from augurium.serving.questions import BatchingChange

Key = tuple[str, int]
log = structlog.get_logger()


class LoadOverride(msgspec.Struct, frozen=True):
    """What was said of one version when it was loaded."""

    model: str
    version: int
    batching: BatchingChange


class LoadOverrides:
    """The overrides in force. A change is on the disk before it counts; every method may block."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._found: dict[Key, BatchingChange] = _read(file) if file else {}

    def of(self, model: str, version: int) -> BatchingChange:
        """What is in force for a version; an empty change if nothing is."""
        return self._found.get((model, version), BatchingChange())

    def set(self, changes: Mapping[Key, BatchingChange]) -> None:
        """Puts these in force; an empty one takes away what was. Raises AuguriumError if that
        cannot be kept.
        """
        merged = {**self._found, **changes}
        wanted = {key: change for key, change in merged.items() if not change.empty}
        if wanted == self._found:
            return
        if self._file is not None:
            _write(self._file, wanted)
        self._found = wanted


def _read(file: Path) -> dict[Key, BatchingChange]:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=list[LoadOverride])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        # what is registered counts then, as if the versions had just been deployed
        log.error("load overrides cannot be read; none is in force", reason=str(error))
        return {}
    return {(override.model, override.version): override.batching for override in found}


def _write(file: Path, wanted: Mapping[Key, BatchingChange]) -> None:
    content = msgspec.json.encode([LoadOverride(*key, change) for key, change in wanted.items()])
    try:
        write_atomically(file, content)
    except OSError as error:
        raise AuguriumError(f"{file.name} cannot be written: {error.strerror}") from error
