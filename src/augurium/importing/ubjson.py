"""Universal Binary JSON, as XGBoost writes it: read strictly and within bounds.

Source: ubjson.org, draft 12, with XGBoost's 64-bit lengths and typed arrays; numbers are
big-endian.
"""

import struct
from typing import Any

import numpy as np

from augurium.core.errors import Unprocessable

MAX_DEPTH = 64
NUMBERS: dict[bytes, np.dtype[Any]] = {
    b"i": np.dtype(">i1"),
    b"U": np.dtype(">u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
CONSTANTS = {b"T": True, b"F": False, b"Z": None}


def decode(content: bytes) -> Any:
    """The document as dicts, lists, texts and numbers; NumPy arrays where the file has typed ones.

    Raises Unprocessable for everything that is not one whole document, and for a key given twice.
    """
    reader = _Reader(content)
    document = reader.value(reader.take(1), 0)
    if reader.position != len(content):
        raise reader.damaged("data behind its end")
    return document


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def damaged(self, what: str) -> Unprocessable:
        return Unprocessable(
            f"the UBJSON file has {what} at byte {self.position}; save the model again with "
            "save_model"
        )

    def take(self, count: int) -> bytes:
        taken = self._content[self.position : self.position + count] if count >= 0 else b""
        if len(taken) != count:
            raise self.damaged("a length beyond its end")
        self.position += count
        return taken

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.damaged(f"more than {MAX_DEPTH} levels")
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text()
        if marker in CONSTANTS:
            return CONSTANTS[marker]
        return self._number(marker)

    def _number(self, marker: bytes) -> int | float:
        dtype = NUMBERS.get(marker)
        if dtype is None:
            raise self.damaged(f"an unknown mark {marker!r}")
        found: int | float = np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()
        return found

    def _length(self) -> int:
        marker = self.take(1)
        if marker == b"L":
            (length,) = struct.unpack(">q", self.take(8))
            return int(length)
        length = self._number(marker)
        if isinstance(length, float):
            raise self.damaged("a length that is not an integer")
        return length

    def _text(self) -> str:
        try:
            return self.take(self._length()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged("text that is not UTF-8") from error

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._content[self.position : self.position + 1] != b"}":
            key = self._text()
            if key in found:
                raise self.damaged(f"the key {key[:32]!r} twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.position += 1
        return found

    def _array(self, depth: int) -> Any:
        following = self._content[self.position : self.position + 1]
        if following == b"$":
            return self._typed_array()
        if following == b"#":
            self.position += 1
            count = self._length()
            # every element takes a byte at least, so a false count is found out before memory is
            # gone
            if not 0 <= count <= len(self._content) - self.position:
                raise self.damaged("a count beyond its end")
            return [self.value(self.take(1), depth + 1) for _ in range(count)]
        found = []
        while (marker := self.take(1)) != b"]":
            found.append(self.value(marker, depth + 1))
        return found

    def _typed_array(self) -> Any:
        self.position += 1
        dtype = NUMBERS.get(self.take(1))
        if dtype is None or self.take(1) != b"#":
            raise self.damaged("an array of an unknown type")
        count = self._length()
        if count < 0:
            raise self.damaged("a negative count")
        return np.frombuffer(self.take(count * dtype.itemsize), dtype).astype(
            dtype.newbyteorder("=")
        )
