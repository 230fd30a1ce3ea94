"""How many replicas each model has now, kept on this node: a restart changes nothing."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from augurium.core.files import write_atomically

log = structlog.get_logger()


class ReplicaNumbers:
    """The numbers that are not 1. Belongs to one event loop; `all` may be read on any thread."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._found: dict[str, int] = _read(file) if file else {}

    def of(self, model: str) -> int:
        """The number of one model."""
        return self._found.get(model, 1)

    @property
    def all(self) -> Mapping[str, int]:
        """Those of all models that do not have one."""
        return self._found

    def set(self, model: str, number: int) -> None:
        """Has this number from now on, also if it cannot be kept."""
        found = {**self._found, model: number}
        self._found = {name: count for name, count in found.items() if count != 1}
        if self._file is None:
            return
        try:
            write_atomically(self._file, msgspec.json.encode(self._found))
        except OSError as error:
            log.error("numbers of replicas not kept", reason=error.strerror)


def _read(file: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.error("numbers of replicas cannot be read; each model begins anew", reason=str(error))
        return {}
