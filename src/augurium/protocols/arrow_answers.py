"""Outputs as an Arrow stream: a column each, rows of several values as lists. Imports pyarrow."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from augurium.core.inference import DEGRADED, DEGRADED_STEP, InferenceResponse
from augurium.core.tensors import BFLOAT16, Array
from augurium.core.texts import has_bytes

# record batches are filled up to here
BATCH_BYTES = 8 * 1024 * 1024


def encode(responses: Sequence[InferenceResponse]) -> memoryview:
    """The stream of answers to parts of one request, in their order; at least one."""
    names = [spec.name for spec in responses[0].specs]
    forms = [
        _Form(_is_even(responses, place), _is_binary(responses, place))
        for place in range(len(names))
    ]
    sink = pa.BufferOutputStream()
    writer = None
    for group in _groups(responses):
        columns = [_column(group, place, form) for place, form in enumerate(forms)]
        batch = pa.record_batch(columns, names)
        if writer is None:
            writer = ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch, custom_metadata=_marks(group[0]))
    if writer is not None:
        writer.close()
    return memoryview(sink.getvalue())


class _Form(NamedTuple):
    """Whether the rows of an output have the same shape, and whether its values are binary."""

    even: bool
    binary: bool


def _groups(responses: Sequence[InferenceResponse]) -> list[list[InferenceResponse]]:
    groups: list[list[InferenceResponse]] = [[]]
    size = 0
    for response in responses:
        if groups[-1] and _marks(groups[-1][-1]) != _marks(response):
            groups.append([])
            size = 0
        groups[-1].append(response)
        size += sum(response.answer.array(index).nbytes for index in response.indices)
        if size >= BATCH_BYTES:
            groups.append([])
            size = 0
    return [group for group in groups if group]


def _marks(response: InferenceResponse) -> dict[str, str] | None:
    """What is said about the record batch that a response is in."""
    if not response.degraded:
        return None
    return {DEGRADED: response.degraded, DEGRADED_STEP: response.step}


def _is_even(responses: Sequence[InferenceResponse], place: int) -> bool:
    """Whether an output has the same shape in every row of all parts."""
    shapes = {one.answer.shape(one.indices[place])[1:] for one in responses}
    return len(shapes) == 1


def _is_binary(responses: Sequence[InferenceResponse], place: int) -> bool:
    """Whether an output has bytes that are not UTF-8 in any part."""
    arrays = [one.answer.array(one.indices[place]) for one in responses]
    return any(array.dtype.hasobject and has_bytes(array.ravel().tolist()) for array in arrays)


def _column(group: Sequence[InferenceResponse], place: int, form: _Form) -> Any:
    arrays = [one.answer.array(one.indices[place]) for one in group]
    parts = [_listed(array, form) for array in arrays] if not form.even else []
    if parts:
        return pa.concat_arrays(parts)
    return _listed(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), form)


def _listed(array: Array, form: _Form) -> Any:
    """A row that holds a single value is that value, others are lists, of a fixed size if even."""
    even = form.even
    values = _values(array.reshape(-1), form.binary)
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


def _values(array: Array, binary: bool) -> Any:
    if binary:
        content = [one.encode() if isinstance(one, str) else one for one in array.tolist()]
        return pa.array(content, pa.binary())
    if array.dtype.hasobject:
        return pa.array(array.tolist(), pa.string())
    # Arrow has no bfloat16
    return pa.array(array.astype(np.float32) if array.dtype == BFLOAT16 else array)
