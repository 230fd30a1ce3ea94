"""Whether a file of this node still is what was registered."""

import os
from pathlib import Path
from typing import NamedTuple

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.files import sha256_of_file
from augurium.registry.verified_files import Stamp, VerifiedFiles, stamp_of


class Damaged(ModelFailed):
    """A file that is missing or is not what was registered; another copy of it may be."""


class CheckedFile(NamedTuple):
    """A file and what it was like before its content was checked."""

    path: Path
    stamp: Stamp

    @property
    def unchanged(self) -> bool:
        """Whether nothing has happened to the file since then."""
        try:
            return stamp_of(self.path) == self.stamp
        except OSError:
            return False


def check_file(path: Path, digest: str, verified: VerifiedFiles | None = None) -> CheckedFile:
    """Makes sure of a file's content: by hashing it, or by knowing that it has not changed since it
    was hashed, where that is `verified`.

    Raises Damaged when it cannot be read or its SHA-256 is not `digest`.
    """
    try:
        checked = CheckedFile(path, stamp_of(path))
        if verified is not None:
            verified.check(path, digest)
        elif sha256_of_file(path) != digest:
            raise _damaged(digest)
    except OSError as error:
        raise Damaged(f"the artifact cannot be read: {error.strerror}") from error
    except Unprocessable as error:
        raise _damaged(digest) from error
    return checked


def read_ahead(path: Path) -> None:
    """Begins to bring a file into the page cache; where it is there already, nothing happens."""
    if not hasattr(os, "posix_fadvise"):
        return
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _damaged(digest: str) -> Damaged:
    return Damaged(
        f"the artifact is damaged: its SHA-256 is not {digest[:12]}..., which was registered;"
        " register the model again"
    )
