"""An answer as plain values: one prediction per row, or whole outputs.

Source: TensorFlow Serving, RESTful API, "Predict API". There, BYTES outputs whose names end in
`_bytes` are binary; here also single values that are not UTF-8, which JSON has no other form for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from augurium.core.inference import InferenceResponse
from augurium.core.tensors import Array, TensorSpec
from augurium.core.texts import has_bytes
from augurium.core.wrapped_bytes import bytes_wrapped, wrapped

BINARY_SUFFIX = "_bytes"


def predictions(response: InferenceResponse, wrap: bool = True) -> list[Any]:
    """One entry per row: its value for one output, an object by output name for several. With
    `wrap`, binary texts come in Base64.
    """
    columns = [
        _rows(spec, response.answer.array(index), wrap)
        for spec, index in zip(response.specs, response.indices, strict=True)
    ]
    if len(columns) == 1:
        return columns[0]
    names = [spec.name for spec in response.specs]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def outputs(responses: Sequence[InferenceResponse]) -> Any:
    """The only output of the parts of one answer, or all by name."""
    first = responses[0]
    found = {
        spec.name: _values(
            spec, _joined([one.answer.array(one.indices[place]) for one in responses])
        )
        for place, spec in enumerate(first.specs)
    }
    return next(iter(found.values())) if len(found) == 1 else found


def _rows(spec: TensorSpec, array: Array, wrap: bool) -> list[Any]:
    values = _values(spec, array) if wrap else array.tolist()
    return values if isinstance(values, list) else [values]


def _values(spec: TensorSpec, array: Array) -> Any:
    values = array.tolist()
    if spec.datatype == "BYTES":
        if spec.name.endswith(BINARY_SUFFIX):
            return wrapped(values)
        if has_bytes(array.ravel().tolist()):
            return bytes_wrapped(values)
    return values


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
