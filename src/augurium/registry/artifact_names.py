"""How artifacts are named in a store: `sha256/ab/<digest>`."""

import re

from augurium.core.errors import NotFound

ROOT = "sha256"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(rf"{ROOT}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")


def is_digest(text: str) -> bool:
    """Whether it is a SHA-256 in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def key_of(digest: str) -> str:
    """Where in a store the file lies."""
    return f"{ROOT}/{digest[:2]}/{digest}"


def digest_of(key: str) -> str | None:
    """The digest a key stands for; None for a key that is not an artifact's."""
    found = _KEY.fullmatch(key)
    return found.group(2) if found else None


def not_stored(digest: str) -> NotFound:
    """The error for a digest that is not in the store."""
    return NotFound(f"artifact '{digest[:64]}' is not in the store; upload it again")
