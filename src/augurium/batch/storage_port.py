"""What a job needs of the place that it writes to: a folder, here or in an object store."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol


class StoredOutput(NamedTuple):
    """A file below a place, by its name there."""

    name: str
    size_bytes: int


class FileSink(Protocol):
    """A file that is being written. It is there, whole, once `close` has returned, and not before;
    `abort` gives it up, and does nothing after `close`.
    """

    def write(self, data: bytes, /) -> int: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class OutputPlace(Protocol):
    """A folder of this machine, or what lies below a prefix of an object store.

    Names are relative to it, with `/` between folders, which come and go with their files. `url`
    is for messages. No method needs a conditional write, which some object stores accept and
    ignore, and each may be repeated. Raises InsufficientStorage when there is no room, NotReady
    when the place does not answer, refuses access or breaks off, repeatedly.
    """

    @property
    def url(self) -> str: ...

    def create(self, name: str) -> FileSink:
        """A file in pieces, whatever its size; takes the place of one that is there."""

    def check_writable(self, name: str) -> None:
        """Writes a file of this name and removes it, with all that was made for it. Raises what
        keeps it from that.
        """

    def put(self, name: str, content: bytes) -> None:
        """A small file, whole and safe from a power loss."""

    def read(self, name: str) -> bytes:
        """A small file. Raises NotFound when there is none."""

    def size(self, name: str) -> int | None:
        """None when there is no such file."""

    def list(self, prefix: str = "") -> Iterator[StoredOutput]:
        """All files whose names begin with `prefix`, which is empty or ends in `/`, in no order."""

    def rename(self, names: Iterable[tuple[str, str]]) -> None:
        """Gives files other names, safe from a power loss. In an object store they keep the first
        one for a while, because there a rename is a copy and a deletion. Raises NotFound for a name
        that is not there.
        """

    def delete(self, names: Iterable[str]) -> None:
        """Files that are not there are no error; folders that have become empty go as well."""
