"""Files in object stores: S3, Google Cloud Storage, Azure."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import obstore

from augurium.batch.range_file import RangeFile
from augurium.batch.stored_file import StoredFile
from augurium.core.errors import InvalidArgument, NotReady
from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import STORES, object_place
from augurium.registry.ranged_download import RangeReader
from augurium.registry.remote_artifacts import RemotePlace
from augurium.registry.remote_errors import remote_errors, translated

PART_BYTES = 8 * 1024 * 1024
PARALLEL_PARTS = 4
LISTED_AT_ONCE = 1000


class ObjectFiles:
    """Locations are URLs without credentials, which come from the environment. A bucket is asked
    with the time limits and retries of the settings.

    Raises InvalidArgument for a URL that is none, and NotReady, naming the object, for a store that
    refuses, stalls or cannot be reached. May be used from several threads.
    """

    def __init__(self, settings: StorageSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[RemotePlace, RangeReader]] = {}

    def check(self, location: str) -> None:
        """Raises InvalidArgument for a URL that no object store can be asked for."""
        checked_url(location)

    def find(self, location: str) -> StoredFile | None:
        bucket, key = self._bucket(location)
        with remote_errors(location):
            try:
                return _stored(location, obstore.head(bucket.store, key))
            except FileNotFoundError:
                return None

    def list(self, folder: str) -> Iterator[StoredFile]:
        """All objects below a prefix that ends as the name of a folder does."""
        bucket, key = self._bucket(folder)
        origin = folder[: len(folder) - len(urlsplit(folder).path)]
        prefix = f"{key.rstrip('/')}/" if key.strip("/") else None
        with remote_errors(folder):
            for batch in obstore.list(bucket.store, prefix, chunk_size=LISTED_AT_ONCE):
                for found in batch:
                    yield _stored(f"{origin}/{found['path']}", found)

    def open(self, file: StoredFile) -> BinaryIO:
        _, key = self._bucket(file.location)
        reader = self._buckets[_origin(file.location)][1]

        def read(start: int, stop: int) -> bytes:
            try:
                return reader.read(key, start, stop)
            except NotReady as error:
                place = _origin(file.location)
                raise NotReady(str(error).replace(place, file.location, 1)) from error

        return cast("BinaryIO", RangeFile(read, file.size_bytes))

    def put(self, location: str, content: bytes) -> None:
        bucket, key = self._bucket(location)
        with remote_errors(location):
            obstore.put(bucket.store, key, content, use_multipart=False)

    @contextmanager
    def create(self, location: str) -> Iterator[BinaryIO]:
        bucket, key = self._bucket(location)
        try:
            with (
                remote_errors(location),
                obstore.open_writer(
                    bucket.store, key, buffer_size=PART_BYTES, max_concurrency=PARALLEL_PARTS
                ) as writer,
            ):
                yield cast("BinaryIO", writer)
        except OSError as error:
            # a writer raises its store's failures as errors of no system call
            if error.errno is not None:
                raise
            raise translated(error, location) from error

    def copy(self, source: str, target: str) -> None:
        bucket, key = self._bucket(source)
        other, name = self._bucket(target)
        if bucket is not other:
            raise InvalidArgument(f"{source} cannot be copied to another bucket, {target}")
        with remote_errors(target), suppress(FileNotFoundError):
            obstore.copy(bucket.store, key, name)
            return
        raise FileNotFoundError(source)

    def rename(self, source: str, target: str) -> None:
        self.copy(source, target)
        self.delete(source)

    def delete(self, location: str) -> None:
        bucket, key = self._bucket(location)
        with remote_errors(location), suppress(FileNotFoundError):
            obstore.delete(bucket.store, key)

    def is_folder(self, location: str) -> bool:
        return next(self.list(location), None) is not None

    def _bucket(self, location: str) -> tuple[RemotePlace, str]:
        origin = _origin(location)
        with self._lock:
            if origin not in self._buckets:
                self._buckets[origin] = self._opened(origin)
            return self._buckets[origin][0], urlsplit(location).path.lstrip("/")

    def _opened(self, origin: str) -> tuple[RemotePlace, RangeReader]:
        place = object_place(origin, self._settings, self._environment, "batch location")
        return place, RangeReader(place.quick, origin, place.retries, place.timeout)


def checked_url(location: str) -> str:
    """A URL that an object store can be asked for. Raises InvalidArgument for others."""
    parts = urlsplit(location)
    if (
        parts.scheme not in STORES
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise InvalidArgument(
            f"'{shown}' is no place for files; expected an absolute path, or"
            " s3://bucket/prefix, gs://bucket/prefix or az://container/prefix without credentials"
        )
    return location


def _origin(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc}"


def _stored(location: str, found: Any) -> StoredFile:
    # without a tag, the time: to the second, because some stores tell more of it in lists
    tag = (found.get("e_tag") or "").strip('"') or int(found["last_modified"].timestamp())
    return StoredFile(location, int(found["size"]), f"{found['size']}-{tag}")
