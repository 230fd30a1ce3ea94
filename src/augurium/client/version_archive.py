"""Version archives at the client's end: saved, and asked for the model they hold."""

import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from augurium.client.content import Content
from augurium.client.upload import Progress
from augurium.core.errors import InvalidArgument, NotReady, Unprocessable

BLOCK_BYTES = 512
MANIFEST = b"manifest.json\0"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
KEY_PREFIX = "augurium-ed25519:"
FINGERPRINT_LENGTH = 32
END = bytes(2 * BLOCK_BYTES)
_SIZE = slice(124, 136)


class _Named(msgspec.Struct):
    model: str


def save_archive(chunks: Iterator[bytes], file: Path, progress: Progress | None) -> None:
    """Writes an archive under a temporary name and renames it when it is whole.

    Raises InvalidArgument when it cannot be written, NotReady when it broke off.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                _copy(chunks, stream, progress)
                stream.flush()
                os.fsync(stream.fileno())
            # readable as any new file: mkstemp's are for their owner only
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(file)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be written: {error.strerror}") from error


def archived_model(content: Content) -> str:
    """The name of the model in an archive. Raises Unprocessable for what is none."""
    beginning, wanted = bytearray(), BLOCK_BYTES
    for chunk in content.chunks():
        beginning += chunk
        if len(beginning) >= BLOCK_BYTES:
            wanted = BLOCK_BYTES + _manifest_size(bytes(beginning[:BLOCK_BYTES]))
        if len(beginning) >= wanted:
            break
    try:
        return msgspec.json.decode(beginning[BLOCK_BYTES:wanted], type=_Named).model
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_an_archive() from error


def key_fingerprint(key: str) -> str:
    """The fingerprint of a public key. Raises InvalidArgument for what is none."""
    text = key.strip()
    try:
        raw = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not text.startswith(KEY_PREFIX) or not raw:
        raise InvalidArgument(
            f"{text[:80]!r} is not a public key; expected one line that begins with {KEY_PREFIX}, "
            "as `augurium trust key` prints it"
        )
    return hashlib.sha256(raw).hexdigest()[:FINGERPRINT_LENGTH]


def _copy(chunks: Iterator[bytes], stream: BinaryIO, progress: Progress | None) -> None:
    last = b""
    for chunk in chunks:
        stream.write(chunk)
        last = (last + chunk)[-len(END) :]
        if progress is not None:
            # how large an archive is, nobody is told; that it goes on can be seen
            progress(f"exporting, {stream.tell() >> 20} MiB", 0.0)
    if last != END:
        raise NotReady("the archive broke off; export it again")


def _manifest_size(header: bytes) -> int:
    try:
        size = int(header[_SIZE].rstrip(b" \0"), 8)
    except ValueError:
        size = -1
    if not header.startswith(MANIFEST) or not 0 < size <= MAX_MANIFEST_BYTES:
        raise _not_an_archive()
    return size


def _not_an_archive() -> Unprocessable:
    return Unprocessable("this is not a version archive as `augurium export` writes it")
