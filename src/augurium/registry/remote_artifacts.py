"""Artifacts in an object store (S3, Google Cloud Storage, Azure), with copies on this node."""

import hashlib
import os
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import obstore

from augurium.core.errors import InsufficientStorage
from augurium.registry.artifact_cache import ArtifactCache
from augurium.registry.artifact_names import ROOT, digest_of, is_digest, key_of, not_stored
from augurium.registry.artifacts import Progress, StoredArtifact
from augurium.registry.ranged_download import RangeReader, RemoteStore
from augurium.registry.records import Artifact
from augurium.registry.remote_errors import remote_errors
from augurium.registry.staging import content_of, disk_errors, staged
from augurium.registry.verified_files import damaged

PART_BYTES = 8 * 1024 * 1024
PARALLEL_PARTS = 4
MAX_PARTS = 9_000  # S3 takes 10 000
DOWNLOADS = 3


class RemotePlace(NamedTuple):
    """An object store. `quick` gives up sooner, for small questions; `url` is for messages."""

    url: str
    store: RemoteStore
    quick: RemoteStore
    retries: int
    timeout: httpx.Timeout


class RemoteArtifacts:
    """Objects under `sha256/ab/<digest>`, written once their digest is known.

    An upload grows on this node's disk first and is sent when it is whole: object stores show an
    object only when its last part has arrived, so nothing half is ever visible, and no conditional
    write is needed, which some stores accept and ignore. Every download is hashed before it is
    used. May be used from several threads and processes.
    """

    def __init__(self, place: RemotePlace, cache: ArtifactCache) -> None:
        self._place = place
        self._cache = cache
        self._reader = RangeReader(place.quick, place.url, place.retries, place.timeout)
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        with staged(self._cache.staging, chunks, max_bytes) as (file, artifact):
            self._send(file, artifact, None)
            self._keep(file, artifact)
        return artifact

    def put_file(self, file: Path, progress: Progress | None = None) -> Artifact:
        with staged(self._cache.staging, content_of(file), sys.maxsize) as (copy, artifact):
            self._send(copy, artifact, progress)
            self._keep(copy, artifact)
        return artifact

    def contains(self, digest: str) -> bool:
        return is_digest(digest) and self._size(digest) is not None

    def local_path(self, digest: str, progress: Progress | None = None) -> Path:
        if not is_digest(digest):
            raise not_stored(digest)
        if found := self._cache.find(digest):
            return found
        with self._one_at_a_time(digest):
            return self._cache.find(digest) or self._fetch(digest, progress)

    @contextmanager
    def lease(self, digest: str, progress: Progress | None = None) -> Iterator[Path]:
        while True:
            path = self.local_path(digest, progress)
            with self._cache.hold(path) as held:
                if held:
                    yield path
                    return

    def mended(self, digest: str, progress: Progress | None = None) -> Path:
        if not is_digest(digest):
            raise not_stored(digest)
        with self._one_at_a_time(digest):
            return self._cache.mended(digest) or self._fetch(digest, progress)

    def pin(self, digests: Collection[str]) -> None:
        self._cache.pin(digests)

    def delete(self, digest: str) -> None:
        if not is_digest(digest):
            return
        with remote_errors(self._place.url), suppress(FileNotFoundError):
            obstore.delete(self._place.quick, key_of(digest))
        self._cache.drop(digest)

    def stored(self) -> Iterator[StoredArtifact]:
        with remote_errors(self._place.url):
            for batch in obstore.list(self._place.quick, ROOT):
                for found in batch:
                    if digest := digest_of(found["path"]):
                        yield StoredArtifact(digest, found["size"], found["last_modified"])

    def sweep_staging(self) -> int:
        """Removes what interrupted uploads left on this node, and says how many; call it before any
        upload.
        """
        return self._cache.sweep_staging()

    def _size(self, digest: str) -> int | None:
        with remote_errors(self._place.url):
            try:
                return int(obstore.head(self._place.quick, key_of(digest))["size"])
            except FileNotFoundError:
                return None

    def _send(self, file: Path, artifact: Artifact, progress: Progress | None) -> None:
        key, size = key_of(artifact.digest), artifact.size_bytes
        part_bytes = max(PART_BYTES, size // MAX_PARTS + 1)
        with remote_errors(self._place.url):
            if size <= part_bytes:
                obstore.put(self._place.store, key, file.read_bytes(), use_multipart=False)
            else:
                obstore.put(
                    self._place.store,
                    key,
                    content_of(file, progress),
                    chunk_size=part_bytes,
                    max_concurrency=PARALLEL_PARTS,
                )

    def _keep(self, file: Path, artifact: Artifact) -> None:
        # the import that follows needs no download then; without room it does, and that is all
        with suppress(InsufficientStorage):
            self._cache.admit(file, artifact.digest)

    def _fetch(self, digest: str, progress: Progress | None) -> Path:
        size = self._size(digest)
        if size is None:
            raise not_stored(digest)
        with self._cache.reserved(size) as file:
            # what was damaged on its way is whole the next time; what is stored damaged is not
            for _ in range(DOWNLOADS):
                if self._download(digest, size, file, progress) == digest:
                    return self._cache.admit(file, digest)
        raise damaged(digest)

    def _download(self, digest: str, size: int, file: Path, progress: Progress | None) -> str:
        found, written = hashlib.sha256(), 0
        with disk_errors(), file.open("r+b") as stream:
            for chunk in self._reader.chunks(key_of(digest), size):
                stream.write(chunk)
                found.update(chunk)
                written += len(chunk)
                if progress is not None:
                    progress("downloading", written / size)
            stream.flush()
            os.fsync(stream.fileno())
        return found.hexdigest()

    @contextmanager
    def _one_at_a_time(self, digest: str) -> Iterator[None]:
        with self._lock:
            lock = self._fetching.setdefault(digest, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._fetching.pop(digest, None)
