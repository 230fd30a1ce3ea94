"""Recorded rows on disk, for the next start; only where the settings say so.

MessagePack of plain values: nothing in the file can run as code.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import AuguriumError
from augurium.core.files import write_atomically
from augurium.core.tensors import DATATYPES, Array, numpy_dtype
from augurium.serving.recorded_traffic import RecordedRow, RecordedTraffic


class _Tensor(msgspec.Struct, frozen=True, array_like=True):
    datatype: str
    shape: tuple[int, ...]
    content: bytes
    texts: list[Any] = []


class _Row(msgspec.Struct, frozen=True, array_like=True):
    inputs: dict[str, _Tensor]
    batched: bool
    sound: bool


Rows = dict[str, list[_Row]]


def save_traffic(file: Path, traffic: RecordedTraffic) -> None:
    """Writes all rows. Raises OSError."""
    rows = {
        model: [
            _Row({n: _tensor(a) for n, a in row.inputs.items()}, row.batched, row.sound)
            for row in found
        ]
        for model, found in traffic.all().items()
    }
    write_atomically(file, msgspec.msgpack.encode(rows))


def load_traffic(file: Path, traffic: RecordedTraffic) -> None:
    """Takes over the rows of an earlier run, if there are any. Raises AuguriumError if the file is
    damaged.
    """
    try:
        for model, rows in msgspec.msgpack.decode(file.read_bytes(), type=Rows).items():
            for row in rows:
                inputs = {name: _array(tensor) for name, tensor in row.inputs.items()}
                traffic.add(model, RecordedRow(inputs, row.batched, row.sound))
    except FileNotFoundError:
        return
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise AuguriumError(f"recorded rows in {file.name} cannot be read: {error}") from error


def _tensor(array: Array) -> _Tensor:
    if array.dtype == np.object_:
        return _Tensor("BYTES", array.shape, b"", array.ravel().tolist())
    return _Tensor(DATATYPES[array.dtype], array.shape, array.tobytes())


def _array(tensor: _Tensor) -> Array:
    if tensor.datatype == "BYTES":
        texts = np.empty(len(tensor.texts), np.object_)
        texts[:] = tensor.texts
        return texts.reshape(tensor.shape)
    # a copy, for a run may write to what it is given
    return np.frombuffer(tensor.content, numpy_dtype(tensor.datatype)).reshape(tensor.shape).copy()
