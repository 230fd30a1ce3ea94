"""The bytes of text files, piece by piece: decompressed, and in an encoding that can be cut.

Imports pyarrow for its decompressors.
"""

import codecs
import contextlib
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from augurium.batch.discovery import compression_of
from augurium.batch.input_changed import same_file
from augurium.batch.partition import Fragment
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile, is_url
from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge

CHUNK_BYTES = 1024 * 1024
# of an object, because every request takes its time
FETCHED_BYTES = 8 * CHUNK_BYTES
# what nobody's rows come to; gzip reaches 1000 times, zstd much more
MOST_EXPANSION = 500
HARMLESS_BYTES = 1024**3
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
Pieces = Generator[bytes, None, None]


class TextSource:
    """Text files in one encoding. Raises InvalidArgument for an encoding that there is not."""

    def __init__(self, storage: Storage, encoding: str = "utf-8") -> None:
        self._storage = storage
        try:
            self.encoding = codecs.lookup(encoding).name
            'a,"\n'.encode(self.encoding)
        except (LookupError, UnicodeError) as error:
            raise InvalidArgument(
                f"the encoding '{encoding[:64]}' is not known; expected one such as utf-8, utf-16,"
                " latin-1 or cp1252"
            ) from error
        self.is_utf8 = self.encoding in ("utf-8", "ascii", "utf-8-sig")
        self._bytewise = self.is_utf8 or _is_bytewise(self.encoding)

    def same_file(self, fragment: Fragment) -> StoredFile:
        """The file of a fragment. Raises InputChanged if it is another than was planned."""
        return same_file(fragment, self._storage)

    def can_be_cut(self, location: str) -> bool:
        """Whether rows can be read from the middle of a file."""
        return self._bytewise and not compression_of(location)

    @property
    def recoded(self) -> str:
        """What the pieces still have to be decoded from, empty for UTF-8."""
        return self.encoding if self._bytewise and not self.is_utf8 else ""

    def pieces(self, file: StoredFile, start: int = 0, stop: int = 0) -> Pieces:
        """The bytes from `start` up to `stop`, or to the end, without a byte order mark.

        Raises InvalidArgument, naming the file, where it is damaged, and TooLarge where it grows
        out of all proportion when it is decompressed.
        """
        return self._pieces(
            file, start, stop, FETCHED_BYTES if is_url(file.location) else CHUNK_BYTES
        )

    def _pieces(self, file: StoredFile, start: int, stop: int, at_once: int) -> Pieces:
        with self._storage.open(file) as stream:
            pieces = self._read(stream, file, start, stop, at_once)
            if not self._bytewise:
                pieces = self._decoded(pieces, file)
            yield from pieces if start else self._unmarked(pieces, file)

    def head(self, file: StoredFile) -> bytes:
        """The beginning of a file, without a byte order mark: a piece of it, at least."""
        with contextlib.closing(self._pieces(file, 0, 0, CHUNK_BYTES)) as pieces:
            return next(pieces, b"")

    def mark_bytes(self, file: StoredFile) -> int:
        """How long the byte order mark is that a file of UTF-8 begins with."""
        with self._storage.open(file) as stream:
            marked = self.is_utf8 and stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        return len(codecs.BOM_UTF8) if marked else 0

    def _read(
        self, stream: BinaryIO, file: StoredFile, start: int, stop: int, at_once: int
    ) -> Iterator[bytes]:
        compression = compression_of(file.location)
        if compression:
            yield from _decompressed(stream, compression, file)
            return
        stream.seek(start)
        left = (stop or file.size_bytes) - start
        while left > 0 and (fetched := stream.read(min(at_once, left))):
            left -= len(fetched)
            for place in range(0, len(fetched), CHUNK_BYTES):
                yield fetched[place : place + CHUNK_BYTES]
        if left > 0:
            raise InvalidArgument(f"{file.location} ended before its size; write the file again")

    def _decoded(self, pieces: Iterator[bytes], file: StoredFile) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        try:
            for piece in pieces:
                yield decoder.decode(piece).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise InvalidArgument(
                f"{file.location} is not {self.encoding}: {error}; give the encoding that it has"
            ) from error

    def _unmarked(self, pieces: Iterator[bytes], file: StoredFile) -> Iterator[bytes]:
        """Without the byte order mark that the first piece may begin with."""
        first = next(pieces, b"")
        while len(first) < len(codecs.BOM_UTF32_LE) and (more := next(pieces, b"")):
            first += more
        for mark, encoding in MARKS.items():
            if first.startswith(mark):
                if encoding != "utf-8" or self.recoded:
                    raise InvalidArgument(
                        f"{file.location} begins with the mark of {encoding}, but is to be read as"
                        f" {self.encoding}; give the encoding {encoding}"
                    )
                first = first.removeprefix(mark)
                break
        yield first
        yield from pieces


def _decompressed(stream: BinaryIO, compression: str, file: StoredFile) -> Iterator[bytes]:
    size = 0
    most = max(HARMLESS_BYTES, MOST_EXPANSION * file.size_bytes)
    try:
        with (
            pa.PythonFile(stream, mode="r") as raw,
            pa.CompressedInputStream(raw, compression) as opened,
        ):
            while piece := opened.read(CHUNK_BYTES):
                size += len(piece)
                if size > most:
                    raise TooLarge(
                        f"{file.location} becomes more than {most} bytes when it is decompressed,"
                        f" from {file.size_bytes}; write it again, less compressed"
                    )
                yield piece
    except AuguriumError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgument(
            f"{file.location} is no whole {compression} file: {_first_line(error)}; write it again"
        ) from error


def _is_bytewise(encoding: str) -> bool:
    """Whether each byte is a character, and those of ASCII are ASCII's."""
    every = bytes(range(256))
    text = every.decode(encoding, "replace")
    return len(text) == len(every) and text[:128] == every[:128].decode("ascii")


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
