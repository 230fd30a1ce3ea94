"""Version archives: a version written as a signed file, and read back into another registry."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import msgspec

from augurium.core.errors import PermissionDenied, Unprocessable
from augurium.core.files import CHUNK_BYTES
from augurium.registry.archive_format import (
    BLOCK_BYTES,
    DOMAIN,
    END,
    FORMAT,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    Manifest,
    Member,
    Signature,
    declared_size,
    file_member,
    files_of,
    header,
    manifest_of,
    not_an_archive,
    padding,
)
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.chunk_reader import ChunkReader
from augurium.registry.records import Artifact, Version
from augurium.registry.signing import SigningKeys, fingerprint, verified
from augurium.registry.staging import content_of
from augurium.registry.verified_files import damaged

# refuses an archive by its manifest, before its files are read
CheckManifest = Callable[[Manifest], None]


class Signer(NamedTuple):
    """Who signed an archive; `name` is empty for a key that was accepted for this time only."""

    fingerprint: str
    name: str


class OpenedArchive(NamedTuple):
    """An archive whose signature and files were checked; its files are in the store."""

    manifest: Manifest
    digest: str
    signer: Signer


class VersionArchives:
    """Writes and reads archives of versions whose files are in `artifacts`."""

    def __init__(self, artifacts: ArtifactStore, keys: SigningKeys, max_file_bytes: int) -> None:
        self._artifacts = artifacts
        self._keys = keys
        self._max_file_bytes = max_file_bytes

    def write(self, version: Version, made_by: str) -> Iterator[bytes]:
        """The archive in pieces.

        Raises NotFound and Unprocessable, before the first piece, when a file of the version is
        missing or damaged.
        """
        with ExitStack() as held:
            files = [
                (file, held.enter_context(self._artifacts.lease(file.digest)))
                for file in files_of(version)
            ]
            for file, path in files:
                if path.stat().st_size != file.size_bytes:
                    raise damaged(file.digest)
            manifest = msgspec.json.encode(manifest_of(version, made_by))
            signature = Signature(
                key=self._keys.own().key,
                signature=base64.b64encode(self._keys.sign(DOMAIN + manifest)).decode(),
            )
            for name, content in (
                (MANIFEST, manifest),
                (SIGNATURE, msgspec.json.encode(signature)),
            ):
                yield header(Member(name, len(content))) + content + padding(len(content))
            for file, path in files:
                yield header(file_member(file))
                yield from content_of(path)
                yield padding(file.size_bytes)
            yield END

    def size_bytes(self, version: Version, made_by: str) -> int:
        """How large the archive is."""
        manifest = len(msgspec.json.encode(manifest_of(version, made_by)))
        # signatures and keys always have the same length
        empty = Signature(key=self._keys.own().key, signature="=" * 88)
        sizes = [manifest, len(msgspec.json.encode(empty))]
        sizes += [file.size_bytes for file in files_of(version)]
        return sum(BLOCK_BYTES + size + -size % BLOCK_BYTES for size in sizes) + len(END)

    def read(
        self, chunks: Iterable[bytes], accept: str | None, check: CheckManifest
    ) -> OpenedArchive:
        """Checks an archive while it streams in, and stores its files.

        `accept` is the fingerprint of a signer to believe this once. Raises Unprocessable for what
        is no archive or was changed, PermissionDenied for an unknown signer, TooLarge, and what
        `check` raises. No version stands on the files yet, whatever happens.
        """
        reader = ChunkReader(chunks)
        encoded = _leading(reader, MANIFEST, MAX_MANIFEST_BYTES)
        signer = self._signer(encoded, _leading(reader, SIGNATURE, MAX_SIGNATURE_BYTES), accept)
        manifest = _manifest(encoded)
        check(manifest)
        for file in files_of(manifest.draft):
            self._store(reader, file)
        if reader.exactly(len(END)) != END or not reader.at_end():
            raise not_an_archive("it goes on after its last file")
        return OpenedArchive(manifest, hashlib.sha256(encoded).hexdigest(), signer)

    def _signer(self, manifest: bytes, encoded: bytes, accept: str | None) -> Signer:
        try:
            found = msgspec.json.decode(encoded, type=Signature)
            signature = base64.b64decode(found.signature, validate=True)
        except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error) as error:
            raise not_an_archive("its signature cannot be read") from error
        signer = fingerprint(found.key)
        if not verified(found.key, signature, DOMAIN + manifest):
            raise Unprocessable(
                "the archive was changed after it was signed: its signature does not fit; get it "
                "from its maker again"
            )
        known = self._keys.find(signer)
        if known is None and signer != accept:
            raise PermissionDenied(
                f"the archive is signed by a key this node does not trust ({signer}); if you know "
                "whose it is, run `augurium trust add`, or accept it this once with --trust KEYFILE"
            )
        return Signer(signer, known.name if known else "")

    def _store(self, reader: ChunkReader, file: Artifact) -> None:
        if reader.exactly(BLOCK_BYTES) != header(file_member(file)):
            raise not_an_archive(f"expected the file {file.digest} next")
        self._artifacts.put(_checked(reader, file), self._max_file_bytes)
        if reader.exactly(-file.size_bytes % BLOCK_BYTES).strip(b"\0"):
            raise not_an_archive("something stands between its files")


def _leading(reader: ChunkReader, name: str, max_bytes: int) -> bytes:
    size = declared_size(reader.exactly(BLOCK_BYTES), name, max_bytes)
    content = reader.exactly(size)
    if reader.exactly(-size % BLOCK_BYTES).strip(b"\0"):
        raise not_an_archive("something stands between its files")
    return content


def _manifest(encoded: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(encoded, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unprocessable(
            f"the manifest of the archive does not fit this release: {error}; update Augurium here "
            "or there"
        ) from error
    if manifest.format != FORMAT:
        raise Unprocessable(
            f"the archive has format {manifest.format}; this release reads format {FORMAT}"
        )
    return manifest


def _checked(reader: ChunkReader, file: Artifact) -> Iterator[bytes]:
    """The content of a file; raises at its end, before it is stored, when it is another one."""
    found, left = hashlib.sha256(), file.size_bytes
    while left:
        chunk = reader.some(min(left, CHUNK_BYTES))
        left -= len(chunk)
        found.update(chunk)
        yield chunk
    if found.hexdigest() != file.digest:
        raise Unprocessable(
            f"the archive is damaged: a file should have the SHA-256 {file.digest} and has "
            f"{found.hexdigest()}; copy it again"
        )
