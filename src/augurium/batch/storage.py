"""Where a job's files are: folders of this machine and object stores, by one set of calls."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from augurium.batch.local_files import LocalFiles
from augurium.batch.stored_file import StoredFile, is_url
from augurium.core.errors import InvalidArgument, PermissionDenied
from augurium.core.settings import StorageSettings

if TYPE_CHECKING:
    from augurium.batch.object_files import ObjectFiles


class Storage:
    """Files by location: an absolute path, or `s3://`, `gs://` or `az://` and bucket and key.

    `roots` are the folders and prefixes below which it reads and writes; None: anywhere. Links are
    followed before that is asked. Every call raises InvalidArgument for a location that is none,
    PermissionDenied for one outside of the roots, and NotReady, naming the file, for a store that
    does not answer in the time and the retries of the settings.
    """

    def __init__(
        self,
        settings: StorageSettings,
        environment: Mapping[str, str] | None = None,
        roots: Sequence[str] | None = None,
    ) -> None:
        self._local = LocalFiles()
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._roots = None if roots is None else [_root(root) for root in roots]

    def checked(self, location: str) -> str:
        """The location in its one form: no `file://`, no `..`, nothing outside of the roots."""
        if location.startswith("file://"):
            location = urlsplit(location).path
        if "\0" in location:
            raise InvalidArgument("a location has a NUL in it")
        if not is_url(location):
            return self._checked_path(location)
        self._objects.check(location)
        if ".." in location.split("/"):
            raise InvalidArgument(f"'{location}' has '..' in it; write the whole location")
        if not self._within_roots(location):
            raise self._outside(location)
        return location

    def find(self, location: str) -> StoredFile | None:
        """The file, None where there is none."""
        location = self.checked(location)
        return self._place(location).find(location)

    def is_folder(self, location: str) -> bool:
        """Whether there is a folder, or anything below a prefix."""
        location = self.checked(location)
        return self._place(location).is_folder(location)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """All files below a folder, and below those in it, in no order; none if it is not there."""
        folder = self.checked(folder)
        if is_url(folder):
            yield from self._objects.list(folder)
        elif self._local.is_folder(folder):
            yield from self._local.list(folder, self._check_link)

    def open(self, file: StoredFile) -> BinaryIO:
        """Its bytes, at any place, without a buffer. Of an object, ranges are read as they are
        wanted. Close it.
        """
        self.checked(file.location)
        return self._place(file.location).open(file)

    def read(self, location: str) -> bytes:
        """All of a small file. Raises FileNotFoundError."""
        found = self.find(location)
        if found is None:
            raise FileNotFoundError(location)
        with self.open(found) as stream:
            return stream.read()

    def put(self, location: str, content: bytes) -> None:
        """Writes a small file, whole or not at all, over what was there."""
        location = self.checked(location)
        self._place(location).put(location, content)

    def create(self, location: str) -> AbstractContextManager[BinaryIO]:
        """A stream into a file, over what was there. It is kept, and safe from a power loss, when
        the context ends without an error.
        """
        location = self.checked(location)
        return self._place(location).create(location)

    def copy(self, source: str, target: str) -> None:
        """Within a file system or a bucket, by the store itself; over what was there. Raises
        FileNotFoundError.
        """
        source, target = self.checked(source), self.checked(target)
        self._place(source).copy(source, target)

    def rename(self, source: str, target: str) -> None:
        """In one step on a file system; in an object store a copy, which is whole when it is seen,
        and then a removal. Raises FileNotFoundError.
        """
        source, target = self.checked(source), self.checked(target)
        self._place(source).rename(source, target)

    def delete(self, location: str) -> None:
        """Removes a file, and its folder if that is empty now; nothing happens if it is gone."""
        location = self.checked(location)
        self._place(location).delete(location)

    @cached_property
    def _objects(self) -> "ObjectFiles":
        # loaded with the first object: workers that read folders start a tenth of a second sooner
        from augurium.batch.object_files import ObjectFiles

        return ObjectFiles(self._settings, self._environment)

    def _place(self, location: str) -> "LocalFiles | ObjectFiles":
        return self._objects if is_url(location) else self._local

    def _checked_path(self, location: str) -> str:
        if not location.startswith("/"):
            raise InvalidArgument(
                f"'{location}' is not an absolute path; write it from the root, such as"
                " /data/orders.parquet, as the server sees it"
            )
        path = os.path.normpath(location)
        self._check_link(Path(path))
        return path

    def _check_link(self, path: Path) -> None:
        if self._roots is not None and not self._within_roots(str(path.resolve())):
            raise self._outside(str(path))

    def _within_roots(self, location: str) -> bool:
        if self._roots is None:
            return True
        return any(
            location == root or location.startswith(f"{root.rstrip('/')}/") for root in self._roots
        )

    def _outside(self, location: str) -> PermissionDenied:
        roots = ", ".join(self._roots or ()) or "none"
        return PermissionDenied(
            f"{location} is outside of what batch jobs may read and write ({roots}); move it there,"
            " or ask for the setting batch.roots"
        )


def _root(root: str) -> str:
    return root.rstrip("/") if is_url(root) else str(Path(root).resolve())
