"""Files of this machine, and of what is mounted on it."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from augurium.batch.stored_file import StoredFile
from augurium.core.errors import InsufficientStorage, InvalidArgument, NotReady
from augurium.core.files import CHUNK_BYTES, sync_folder, write_atomically

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# what a link leads to is asked about before it is followed
Allowed = Callable[[Path], None]


class LocalFiles:
    """Locations are absolute paths. Raises InvalidArgument for what the server may not read or
    write, InsufficientStorage for a full disk, and NotReady for a disk that fails.
    """

    def find(self, location: str) -> StoredFile | None:
        try:
            with _file_errors(location):
                found = os.stat(location)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _stored(location, found) if Path(location).is_file() else None

    def list(self, folder: str, allowed: Allowed) -> Iterator[StoredFile]:
        """All files below a folder. Links are followed, each folder is entered once."""
        seen: set[tuple[int, int]] = set()
        waiting = [folder]
        while waiting:
            with _file_errors(waiting[-1]), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        allowed(Path(entry.path))
                    if entry.is_file():
                        with suppress(FileNotFoundError):
                            yield _stored(entry.path, entry.stat())
                    if not entry.is_dir():
                        continue  # what is neither, such as a pipe, has no rows
                    told = entry.stat()
                    if (told.st_dev, told.st_ino) not in seen:
                        seen.add((told.st_dev, told.st_ino))
                        waiting.append(entry.path)

    def open(self, file: StoredFile) -> BinaryIO:
        with _file_errors(file.location):
            return Path(file.location).open("rb", buffering=0)

    def put(self, location: str, content: bytes) -> None:
        with _file_errors(location):
            _make_folder(Path(location).parent)
            write_atomically(Path(location), content)

    @contextmanager
    def create(self, location: str) -> Iterator[BinaryIO]:
        path = Path(location)
        with _file_errors(location):
            _make_folder(path.parent)
            try:
                with path.open("wb", buffering=CHUNK_BYTES) as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            sync_folder(path.parent)

    def copy(self, source: str, target: str) -> None:
        with Path(source).open("rb") as stream, self.create(target) as copy:
            shutil.copyfileobj(stream, copy, CHUNK_BYTES)

    def rename(self, source: str, target: str) -> None:
        with _file_errors(target):
            _make_folder(Path(target).parent)
            Path(source).replace(target)
            sync_folder(Path(target).parent)

    def delete(self, location: str) -> None:
        with _file_errors(location):
            Path(location).unlink(missing_ok=True)
        # object stores have no empty folders either
        with suppress(OSError):
            Path(location).parent.rmdir()

    def is_folder(self, location: str) -> bool:
        with _file_errors(location):
            return Path(location).is_dir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidArgument(
            f"{folder} is no folder, because there is a file of that name or of one above it; "
            "choose another folder, or move the file away"
        ) from error


def _stored(location: str, found: os.stat_result) -> StoredFile:
    return StoredFile(location, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


@contextmanager
def _file_errors(location: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except PermissionError as error:
        raise InvalidArgument(
            f"the server may not use {location} ({error.strerror}); give the user that it runs as"
            " the right to"
        ) from error
    except OSError as error:
        if error.errno in FULL:
            raise InsufficientStorage(
                f"{location} cannot be written: {error.strerror}; free some space"
            ) from error
        raise NotReady(f"{location} cannot be used: {error.strerror or error}") from error
