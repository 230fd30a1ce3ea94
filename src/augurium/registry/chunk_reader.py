"""Reads exact amounts from a stream of pieces of any size."""

from collections.abc import Iterable

from augurium.core.errors import Unprocessable


class ChunkReader:
    """Holds one piece at a time."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def some(self, size: int) -> bytes:
        """Up to `size` bytes, at least one. Raises Unprocessable at the end of the stream."""
        if not self._left and not self._advance():
            raise Unprocessable("the file ends in the middle; send it again")
        found, self._left = self._left[:size], self._left[size:]
        return bytes(found)

    def exactly(self, size: int) -> bytes:
        """`size` bytes. Raises Unprocessable when there are fewer."""
        found = bytearray()
        while len(found) < size:
            found += self.some(size - len(found))
        return bytes(found)

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._left and not self._advance()

    def _advance(self) -> bool:
        for chunk in self._chunks:
            if chunk:
                self._left = memoryview(chunk)
                return True
        return False
