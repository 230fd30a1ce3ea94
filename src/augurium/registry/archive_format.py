"""One version in one file: what stands in it, and in which order.

A tar of plain members with fixed names: `manifest.json`, `signature.json`, then each file of the
version as `files/<sha256>`, in the order of the manifest, and nothing else. The signature covers
the manifest, and the manifest has the SHA-256 of every file, so nothing in it can be changed.
"""

import tarfile
from datetime import datetime
from typing import NamedTuple

import msgspec

from augurium.core.errors import Unprocessable
from augurium.registry.records import Artifact, Version, VersionDraft

FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_SIGNATURE_BYTES = 4096
BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK_BYTES)
DOMAIN = b"augurium version archive 1\0"
_SIZE = slice(124, 136)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an archive says about itself; `made_by` is the release of Augurium that wrote it."""

    format: int
    made_by: str
    model: str
    version: int
    created_at: datetime
    draft: VersionDraft


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An Ed25519 signature in base64, and the public key it is by."""

    key: str
    signature: str


class Member(NamedTuple):
    name: str
    size_bytes: int


def manifest_of(version: Version, made_by: str) -> Manifest:
    """The manifest of a version: all that it is, and nothing of what was done with it here."""
    fields = {name: getattr(version, name) for name in VersionDraft.__struct_fields__}
    draft = VersionDraft(**{**fields, "idempotency_key": None})
    return Manifest(
        format=FORMAT,
        made_by=made_by,
        model=version.model,
        version=version.version,
        created_at=version.created_at,
        draft=draft,
    )


def files_of(draft: VersionDraft) -> tuple[Artifact, ...]:
    """The files of a version, each once, in the order in which they stand in an archive."""
    return tuple({artifact.digest: artifact for artifact in draft.artifacts()}.values())


def file_member(artifact: Artifact) -> Member:
    """The member that holds a file."""
    return Member(f"files/{artifact.digest}", artifact.size_bytes)


def header(member: Member) -> bytes:
    """The tar header of a member: plain, without date, owner and mode; always the same."""
    info = tarfile.TarInfo(member.name)
    info.size = member.size_bytes
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size_bytes: int) -> bytes:
    """What fills up the last block of a member."""
    return bytes(-size_bytes % BLOCK_BYTES)


def declared_size(block: bytes, name: str, max_bytes: int) -> int:
    """The size that a header says. Raises Unprocessable unless it is the plain one of `name`."""
    try:
        size = int(block[_SIZE].rstrip(b" \0") or b"0", 8)
    except ValueError:
        size = -1
    # a header that is not byte for byte ours may mean a link, a device or another name
    if not 0 <= size <= max_bytes or block != header(Member(name, size)):
        raise not_an_archive(f"expected {name} of at most {max_bytes} bytes first")
    return size


def not_an_archive(problem: str) -> Unprocessable:
    """The error for a file that is no archive, or a changed one."""
    return Unprocessable(
        f"this is not a version archive as `augurium export` writes it: {problem}; export it again"
    )
