"""Content that can be sent: where it comes from does not matter any more."""

from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

from augurium.core.errors import InvalidArgument
from augurium.core.files import CHUNK_BYTES


@runtime_checkable
class Content(Protocol):
    """A name as of a file, a size that is None when nobody knows it before the end, and bytes."""

    @property
    def name(self) -> str: ...

    @property
    def size_bytes(self) -> int | None: ...

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces; may be asked for again, from the beginning."""
        ...


class BytesContent:
    """Bytes in memory."""

    def __init__(self, content: bytes, name: str = "") -> None:
        self._content = content
        self.name = name
        self.size_bytes: int | None = len(content)

    def chunks(self) -> Iterator[bytes]:
        with closing(BytesIO(self._content)) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk


class FileContent:
    """A file of this machine, read while it is sent.

    Raises InvalidArgument when there is none, and when it grows or shrinks while it is read.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            what = "is no regular file" if file.exists() else "does not exist"
            raise InvalidArgument(f"{file} {what}; expected the path of a file")
        self._file = file
        self.name = file.name
        self.size_bytes: int | None = file.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        read_bytes = 0
        try:
            with self._file.open("rb", buffering=0) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    read_bytes += len(chunk)
                    yield chunk
        except OSError as error:
            raise InvalidArgument(f"{self._file} cannot be read: {error.strerror}") from error
        if read_bytes != self.size_bytes:
            raise InvalidArgument(f"{self._file} changed while it was read; send it again")
