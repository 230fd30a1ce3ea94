"""Files that are there whole or not at all."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 1024 * 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(file: Path, content: bytes) -> None:
    """Writes to a temporary neighbour, syncs it and its folder, and renames it over `file`."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def replace_content(file: Path, content: bytes) -> None:
    """Writes as `write_atomically`, at a fraction of its cost: a power loss may take it back."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(content)
    draft.replace(file)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(file: Path) -> str:
    """The SHA-256 of a file's content in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def remove_folder(folder: Path) -> None:
    """Removes a folder with whatever a stranger's process left in it, as far as the system allows.

    Folders may be nested deeper than a path, the stack or the number of open files can be, and
    forbid that they are read. Links are not followed. Nobody else may be at work in it.
    """
    with suppress(OSError):
        folder.chmod(0o700)
        _Emptying(folder).run()
        folder.rmdir()


class _Emptying:
    """Goes down into folders and up again, with one of them open at a time."""

    def __init__(self, folder: Path) -> None:
        self._open = os.open(folder, FOLDER)
        self._names: list[str] = []

    def run(self) -> None:
        try:
            while (inner := self._without_files()) is not None or self._names:
                if inner is not None:
                    os.chmod(inner, 0o700, dir_fd=self._open)
                    self._move(inner)
                    self._names.append(inner)
                else:
                    self._move("..")
                    os.rmdir(self._names.pop(), dir_fd=self._open)
        finally:
            os.close(self._open)

    def _without_files(self) -> str | None:
        """Removes files until a folder is found; gives its name, None when nothing is left."""
        with os.scandir(self._open) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    return entry.name
                os.unlink(entry.name, dir_fd=self._open)
        return None

    def _move(self, name: str) -> None:
        found = os.open(name, FOLDER, dir_fd=self._open)
        os.close(self._open)
        self._open = found
