"""Outputs as an Arrow stream: a column each, rows of several values as lists. Imports pyarrow."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from augurium.core.inference import InferenceResponse
from augurium.core.tensors import Array

# record batches are filled up to here
BATCH_BYTES = 8 * 1024 * 1024


def encode(responses: Sequence[InferenceResponse]) -> memoryview:
    """The stream of answers to parts of one request, in their order; at least one."""
    names = [spec.name for spec in responses[0].specs]
    even = [_is_even(responses, place) for place in range(len(names))]
    sink = pa.BufferOutputStream()
    writer = None
    for group in _groups(responses):
        columns = [_column(group, place, even[place]) for place in range(len(names))]
        batch = pa.record_batch(columns, names)
        if writer is None:
            writer = ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return memoryview(sink.getvalue())


def _groups(responses: Sequence[InferenceResponse]) -> list[list[InferenceResponse]]:
    groups: list[list[InferenceResponse]] = [[]]
    size = 0
    for response in responses:
        groups[-1].append(response)
        size += sum(response.answer.array(index).nbytes for index in response.indices)
        if size >= BATCH_BYTES:
            groups.append([])
            size = 0
    return [group for group in groups if group]


def _is_even(responses: Sequence[InferenceResponse], place: int) -> bool:
    """Whether an output has the same shape in every row of all parts."""
    shapes = {one.answer.shape(one.indices[place])[1:] for one in responses}
    return len(shapes) == 1


def _column(group: Sequence[InferenceResponse], place: int, even: bool) -> Any:
    arrays = [one.answer.array(one.indices[place]) for one in group]
    parts = [_listed(array, even) for array in arrays] if not even else []
    if parts:
        return pa.concat_arrays(parts)
    return _listed(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), even)


def _listed(array: Array, even: bool) -> Any:
    """A row that holds a single value is that value, others are lists, of a fixed size if even."""
    values = _values(array.reshape(-1))
    if even and math.prod(array.shape[1:]) == 1:
        return values
    for level in range(array.ndim - 1, 0, -1):
        rows, extent = math.prod(array.shape[:level]), array.shape[level]
        if even and extent:
            values = pa.FixedSizeListArray.from_arrays(values, extent)
        else:
            offsets = np.arange(0, (rows + 1) * extent, extent) if extent else np.zeros(rows + 1)
            values = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
    return values


def _values(array: Array) -> Any:
    if array.dtype.hasobject:
        texts = [one.decode() if isinstance(one, bytes) else one for one in array.tolist()]
        return pa.array(texts, pa.string())
    return pa.array(array)
