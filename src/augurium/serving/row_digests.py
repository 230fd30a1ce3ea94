"""Digests of rows, and of whole requests where these are what is answered: equal exactly when a
version would be given equal inputs.

128 bits of keyed BLAKE2b (RFC 7693) over the tensors as the model takes them, so that the same row
has the same digest over every protocol. It is cryptographic, because callers choose rows:
with a faster hash, one of them could make two rows collide and be answered with another's answer.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from typing_extensions import Buffer

from augurium.core.tensors import Array
from augurium.serving.run_parameters import ParameterizedRun

DIGEST_BYTES = 16
_encode = msgspec.msgpack.encode


class RowDigests:
    """Makes the digests of one version's rows; `identity` is what tells it from all others."""

    def __init__(self, *identity: str | int) -> None:
        key = hashlib.sha256(_encode(identity)).digest()
        self._begun = hashlib.blake2b(digest_size=DIGEST_BYTES, key=key)

    def of(self, inputs: Sequence[Array], rows: int, shapes: object = None) -> list[bytes]:
        """The digest of each row of `inputs`, whose first dimension is `rows` long.

        `shapes` are those of a row where the signature leaves them open, or the parameters that
        rows come with.
        """
        begun = self._begun
        if isinstance(shapes, ParameterizedRun):
            begun = begun.copy()
            begun.update(_encode((shapes.shapes, shapes.content)))
        elif shapes is not None:
            begun = begun.copy()
            begun.update(_encode(shapes))
        digests = [begun.copy() for _ in range(rows)]
        for array in inputs:
            if rows == 1:
                digests[0].update(_content(array))
                continue
            for digest, row in zip(digests, array, strict=True):
                digest.update(_content(np.asarray(row, array.dtype)))
        return [digest.digest() for digest in digests]

    def of_whole(self, inputs: Sequence[Array], key: object = None) -> bytes:
        """The digest of all tensors of a request, with the parameters in its `key` if there are
        any.
        """
        digest = self._begun.copy()
        digest.update(_encode(key.content if isinstance(key, ParameterizedRun) else None))
        for array in inputs:
            digest.update(_encode((array.dtype.str, array.shape)))
            digest.update(_content(array))
        return digest.digest()

    def of_request(self, *parts: Buffer) -> bytes:
        """The digest of a request as it came: its bytes, and whatever else its answer is written
        by.
        """
        digest = self._begun.copy()
        for part in parts:
            view = memoryview(part)
            digest.update(view.nbytes.to_bytes(8, "little"))
            digest.update(view)
        return digest.digest()


def _content(array: Array) -> bytes | memoryview:
    """What of an array is digested. Its end can be told from its beginning: by the signature, or
    by lengths inside.
    """
    if array.dtype.hasobject:
        return _encode(array.ravel().tolist())
    return np.ascontiguousarray(array).data
