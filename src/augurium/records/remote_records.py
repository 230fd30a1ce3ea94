"""Segments in an object store, with copies on this node while they are read and some time after."""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore

from augurium.core.files import write_atomically
from augurium.records.record_store import StoredKey
from augurium.records.segments import Segment, content_digest
from augurium.registry.remote_artifacts import RemotePlace
from augurium.registry.remote_errors import remote_errors
from augurium.registry.staging import disk_errors

FOLDER = "records/"


class RemoteRecords:
    """Objects below `records/` in the artifact store, each written by one request.

    Copies lie in `copies`; those that nobody holds go when there are more than `max_bytes`, the
    ones read longest ago first.
    """

    def __init__(self, place: RemotePlace, copies: Path, max_bytes: int) -> None:
        self._place = place
        self._copies = copies.absolute()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._readers = 0

    def put(self, key: str, content: bytes) -> None:
        with remote_errors(self._place.url):
            obstore.put(self._place.store, FOLDER + key, content, use_multipart=False)

    def find(self, key: str) -> bytes | None:
        with remote_errors(self._place.url):
            try:
                return bytes(obstore.get(self._place.quick, FOLDER + key).bytes())
            except FileNotFoundError:
                return None

    def keys(self, prefix: str, after: str = "") -> Iterator[StoredKey]:
        offset = FOLDER + after if after else None
        with remote_errors(self._place.url):
            # some stores list in no order, and begin with what they like
            for batch in obstore.list(self._place.quick, FOLDER + prefix, offset=offset):
                for found in batch:
                    key = found["path"].removeprefix(FOLDER)
                    if key > after:
                        yield StoredKey(key, found["size"])

    def delete(self, keys: Collection[str]) -> None:
        with remote_errors(self._place.url):
            for key in keys:
                with suppress(FileNotFoundError):
                    obstore.delete(self._place.quick, FOLDER + key)
                (self._copies / key).unlink(missing_ok=True)

    @contextmanager
    def files(self, segments: Collection[Segment]) -> Iterator[Mapping[Segment, Path]]:
        with self._lock:
            self._readers += 1
        try:
            found = {segment: self._copied(segment) for segment in segments}
            yield {segment: path for segment, path in found.items() if path is not None}
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._shrink()

    def _copied(self, segment: Segment) -> Path | None:
        copy = self._copies / segment.key
        if copy.is_file() and copy.stat().st_size == segment.size_bytes:
            copy.touch()
            return copy
        content = self.find(segment.key)
        if content is not None and content_digest(content) != segment.digest:
            # what was damaged on its way is whole the next time; what is stored damaged is not
            content = self.find(segment.key)
        if content is None:
            return None
        with disk_errors():
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(copy, content)
        return copy

    def _shrink(self) -> None:
        copies = [(file.stat(), file) for file in self._copies.rglob("*") if file.is_file()]
        total = sum(status.st_size for status, _ in copies)
        for status, file in sorted(copies, key=lambda copy: copy[0].st_mtime_ns):
            if total <= self._max_bytes:
                return
            file.unlink(missing_ok=True)
            total -= status.st_size
