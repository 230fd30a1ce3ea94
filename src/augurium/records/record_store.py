"""Where segments are kept: a folder of this machine; in `remote_records.py` an object store."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from augurium.core.files import write_atomically
from augurium.records.segments import Segment
from augurium.registry.staging import disk_errors


class StoredKey(NamedTuple):
    """One object."""

    key: str
    size_bytes: int


class RecordStore(Protocol):
    """Objects by key, there whole or not at all. May be used from several threads.

    Methods raise NotReady for a store that cannot be used, and InsufficientStorage for a full one.
    """

    def put(self, key: str, content: bytes) -> None:
        """Writes an object, over an older one of that key."""
        ...

    def find(self, key: str) -> bytes | None:
        """The content of a small object; None if there is none."""
        ...

    def keys(self, prefix: str, after: str = "") -> Iterator[StoredKey]:
        """The objects below a folder, which ends with a slash; in their order, if `after` is given
        only those behind that key.
        """
        ...

    def delete(self, keys: Collection[str]) -> None:
        """Removes objects; those that are not there do no harm."""
        ...

    def files(
        self, segments: Collection[Segment]
    ) -> AbstractContextManager[Mapping[Segment, Path]]:
        """Segments as files that stay as long as they are held, without those that are gone."""
        ...


class FolderRecords:
    """Objects as files below `root`, which is made with the first of them."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def put(self, key: str, content: bytes) -> None:
        file = self.root / key
        with disk_errors():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(file, content)

    def find(self, key: str) -> bytes | None:
        try:
            with disk_errors():
                return (self.root / key).read_bytes() if (self.root / key).is_file() else None
        except FileNotFoundError:
            return None

    def keys(self, prefix: str, after: str = "") -> Iterator[StoredKey]:
        with disk_errors():
            for file in _files_below(self.root / prefix):
                key = file.relative_to(self.root).as_posix()
                with suppress(FileNotFoundError):
                    if key > after:
                        yield StoredKey(key, file.stat().st_size)

    def delete(self, keys: Collection[str]) -> None:
        with disk_errors():
            for key in keys:
                (self.root / key).unlink(missing_ok=True)
        for folder in {(self.root / key).parent for key in keys}:
            self._remove_empty(folder)

    @contextmanager
    def files(self, segments: Collection[Segment]) -> Iterator[Mapping[Segment, Path]]:
        paths = {segment: self.root / segment.key for segment in segments}
        yield {segment: path for segment, path in paths.items() if path.is_file()}

    def sweep(self) -> None:
        """Removes what writers that were killed left; nobody may be writing."""
        with disk_errors():
            for file in _files_below(self.root, hidden=True):
                file.unlink(missing_ok=True)

    def _remove_empty(self, folder: Path) -> None:
        # of an hour, its model and its kind; one that is not empty refuses
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def _files_below(folder: Path, hidden: bool = False) -> Iterator[Path]:
    """In the order of their names; what is being written is hidden."""
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(entry, hidden)
        elif entry.name.startswith(".") == hidden:
            yield entry
