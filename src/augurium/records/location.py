"""Where a node keeps its records: beside its artifacts."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from augurium.core.clock import Clock
from augurium.core.files import write_atomically
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.records.database import RecordDatabase
from augurium.records.partitions import Partitions
from augurium.records.record_store import FolderRecords, RecordStore
from augurium.records.remote_records import RemoteRecords
from augurium.registry.artifact_location import artifact_place

COPIES_BYTES = 2 * 1024**3


def open_records(
    settings: StorageSettings, home: Home, clock: Clock, environment: Mapping[str, str]
) -> Partitions:
    """The records of a node: in its home folder, or below `records/` in its artifact store.

    Nothing is asked of a remote store yet. Raises as `open_artifacts`.
    """
    place = artifact_place(settings, home.path, environment)
    store: RecordStore
    if isinstance(place, Path):
        store = FolderRecords(place / "records")
        store.sweep()
        folder = store.root
    else:
        folder = home.record_copies
        store = RemoteRecords(place, folder, COPIES_BYTES)
    database = RecordDatabase(home.record_work, [folder])
    return Partitions(store, database, clock, _writer(home.record_writer))


def _writer(file: Path) -> str:
    """The name of this node in what it writes, which it keeps."""
    try:
        found = file.read_text("ascii")
    except (OSError, ValueError):
        found = ""
    if len(found) == 8 and all(digit in "0123456789abcdef" for digit in found):
        return found
    name = secrets.token_hex(4)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(file, name.encode())
    return name
