"""A file that a job reads or wrote: where it is, and what tells whether it is still the same."""

from typing import NamedTuple


class StoredFile(NamedTuple):
    """`location` is an absolute path or a URL; `identity` changes when the content does."""

    location: str
    size_bytes: int
    identity: str


def is_url(location: str) -> bool:
    """Whether a location is in an object store."""
    return "://" in location


def joined(folder: str, name: str) -> str:
    """The location of what is in a folder; `name` may have folders of its own."""
    return f"{folder.rstrip('/')}/{name}"
