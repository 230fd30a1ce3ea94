"""The folder that a job writes to, by its location: on this machine or in an object store."""

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from augurium.batch.storage import Storage
from augurium.batch.storage_port import StoredOutput
from augurium.batch.stored_file import is_url, joined
from augurium.core.errors import InvalidArgument, NotFound, TooLarge

# files that change at a time: a request takes as long as its way to the store, and those who wait
# for a disk to be safe wait together
AT_ONCE = 16
# S3 copies no larger object in one request, and a copy is how files get their names
MOST_OBJECT_BYTES = 5 * 1024**3
T = TypeVar("T")


class StoragePlace:
    """An `OutputPlace` in a storage, `location` being an absolute path or a URL.

    Raises as `OutputPlace` says, and as `Storage` does for what is outside of its roots.
    """

    def __init__(self, storage: Storage, location: str) -> None:
        self._storage = storage
        self._url = storage.checked(location).rstrip("/")
        self._is_url = is_url(self._url)

    @property
    def url(self) -> str:
        return self._url

    def create(self, name: str) -> "StorageSink":
        most_bytes = MOST_OBJECT_BYTES if self._is_url else sys.maxsize
        return StorageSink(self._storage.create(self._location(name)), most_bytes)

    def check_writable(self, name: str) -> None:
        place = Path(self._url)
        absent = (
            [] if self._is_url else [one for one in (place, *place.parents) if not one.exists()]
        )
        self.put(name, b"")
        self.delete([name])
        for folder in absent:
            # what another job has begun to fill meanwhile stays
            with suppress(OSError):
                folder.rmdir()

    def put(self, name: str, content: bytes) -> None:
        self._storage.put(self._location(name), content)

    def read(self, name: str) -> bytes:
        try:
            return self._storage.read(self._location(name))
        except FileNotFoundError as error:
            raise NotFound(f"{self._url} has no file '{name}'") from error

    def size(self, name: str) -> int | None:
        found = self._storage.find(self._location(name))
        return None if found is None else found.size_bytes

    def list(self, prefix: str = "") -> Iterator[StoredOutput]:
        start = len(self._url) + 1
        folder = self._location(prefix.rstrip("/")) if prefix else self._url
        for file in self._storage.list(folder):
            yield StoredOutput(file.location[start:], file.size_bytes)

    def rename(self, names: Iterable[tuple[str, str]]) -> None:
        pairs = list(names)
        self._each(self._rename, pairs)
        self._drop_folders(first for first, _ in pairs)

    def delete(self, names: Iterable[str]) -> None:
        deleted = list(names)
        self._each(self._delete, deleted)
        self._drop_folders(deleted)

    def _rename(self, pair: tuple[str, str]) -> None:
        try:
            self._storage.rename(self._location(pair[0]), self._location(pair[1]))
        except FileNotFoundError as error:
            raise NotFound(f"{self._url} has no file '{pair[0]}'") from error

    def _delete(self, name: str) -> None:
        self._storage.delete(self._location(name))

    def _each(self, act: Callable[[T], None], names: Iterable[T]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(act, names):
                pass

    def _drop_folders(self, names: Iterable[str]) -> None:
        """Removes the folders of a disk that these files were in, where they are empty now."""
        if self._is_url:
            return
        folders = {folder for name in names for folder in PurePosixPath(name).parents}
        for folder in sorted(folders - {PurePosixPath()}, reverse=True):
            with suppress(OSError):
                (Path(self._url) / folder).rmdir()

    def _location(self, name: str) -> str:
        # names are read from files below the output too, which others may have written
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise InvalidArgument(f"'{name[:200]}' is not the name of a file below {self._url}")
        return joined(self._url, name)


class StorageSink:
    """A `FileSink` over a stream of a storage, which keeps the file unless an error ends it.

    `write` raises TooLarge above `most_bytes`, early enough for a job that would fail at its end.
    """

    def __init__(self, stream: AbstractContextManager[BinaryIO], most_bytes: int) -> None:
        self._context = stream
        self._stream = stream.__enter__()
        self._left = most_bytes
        self._ended = False

    def write(self, data: bytes, /) -> int:
        self._left -= len(data)
        try:
            if self._left < 0:
                raise TooLarge(
                    "a file of the output has more bytes than an object store copies at once; "
                    "submit the job with fewer partition_rows"
                )
            return self._stream.write(data)
        except Exception as error:
            self._ended = True
            # the stream gives the file up, and says in our words what went wrong
            self._context.__exit__(type(error), error, error.__traceback__)
            raise

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self._context.__exit__(None, None, None)

    def abort(self) -> None:
        if self._ended:
            return
        self._ended = True
        with suppress(_GivenUp):
            self._context.__exit__(_GivenUp, _GivenUp(), None)


class _GivenUp(Exception):
    """Ends a stream whose file is not wanted."""
