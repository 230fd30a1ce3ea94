"""Whether a file of this node still is what was registered."""

from pathlib import Path

from augurium.core.errors import ModelFailed
from augurium.core.files import sha256_of_file


def check_file(path: Path, digest: str) -> None:
    """Reads the whole file, which also brings it into the page cache.

    Raises ModelFailed when it cannot be read or its SHA-256 is not `digest`.
    """
    try:
        found = sha256_of_file(path)
    except OSError as error:
        raise ModelFailed(f"the artifact cannot be read: {error.strerror}") from error
    if found != digest:
        raise ModelFailed(
            f"the artifact is damaged: its SHA-256 begins with {found[:12]}, registered was"
            f" {digest[:12]}; register the model again"
        )
