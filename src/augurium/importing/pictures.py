"""Small pictures, for models that decode what they are given.

Source: W3C, "Portable Network Graphics (PNG) Specification", 5.3 and 11.2. TensorFlow's decoders of
JPEG and of any picture take PNG too.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from augurium.core.tensors import Array

SIZE = 32
COUNT = 4
SEED = 0
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# 8 bits a channel, red, green and blue; deflate, no filters, no interlacing
_FORMAT = (8, 2, 0, 0, 0)


def pictures() -> Sequence[bytes]:
    """PNG files of one size, the same every time: one black, the others of random colours."""
    rng = np.random.default_rng(SEED)
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    return [
        png(black),
        *(png(rng.integers(0, 256, black.shape, np.uint8)) for _ in range(COUNT - 1)),
    ]


def png(pixels: Array) -> bytes:
    """The file of a picture, `[height, width, 3]` of UINT8."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *_FORMAT)),
            _chunk(b"IDAT", zlib.compress(lines)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
