"""An example row of a version, and the request bodies that ask about it.

It is a row of the training data where the version has one, else made up from the signature: whole
and in range, because a model may look such values up in a list.
"""

import math
from collections.abc import Sequence
from typing import Any

from augurium.core.errors import AuguriumError
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec
from augurium.core.texts import has_bytes
from augurium.core.values import array_from_values, checked_values, extents_of
from augurium.serving.validation import InputValidator

# what an extent that varies is in rows that an import makes up, with which the model was checked
FREE_EXTENT = 4
# a picture is no example to read, and every body would repeat it
MOST_VALUES = 4096
_MADE_UP: dict[str, Any] = {"BOOL": True, "BYTES": "text"}

Bodies = dict[str, Any]


def example_bodies(signature: Signature, recorded: Any = None) -> Bodies:
    """JSON bodies by the name of their schema; none where a row has too many values.

    `recorded` is a row in the v1 form, None where there is none. A streamed version has the body
    for its streams only: what asks for one answer may be refused.
    """
    if not signature.batched:
        return _of_tensors(signature)
    row = recorded if _fits(recorded, signature) else _made_up_row(signature)
    if row is None:
        return {}
    named = _named(row, signature)
    if signature.streamed:
        return {"GenerateRequest": named}
    bodies = {
        "PredictRequest": {"instances": [row]},
        "ExamplesRequest": {"examples": [named]},
        "GenerateRequest": named,
        "InvocationsRequest": _invocations(row),
    }
    tensors = tensors_from_instances(Instances([row]), signature)
    if any(array.dtype == object and has_bytes(array.flat) for array in tensors.values()):
        # the tensors' JSON has no form for bytes that are no text
        return bodies
    return {**bodies, "InferRequest": _infer(tensors, signature)}


def _of_tensors(signature: Signature) -> Bodies:
    """For a version that takes whole tensors."""
    if _size(signature) > MOST_VALUES:
        return {}
    values = {spec.name: _filled(spec, _extents(spec.shape)) for spec in signature.inputs}
    if signature.streamed:
        return {"GenerateRequest": values}
    infer = _infer(
        {spec.name: _array(spec, values[spec.name]) for spec in signature.inputs}, signature
    )
    return {
        "InferRequest": infer,
        "PredictRequest": {"inputs": values},
        "GenerateRequest": values,
        "InvocationsRequest": infer,
    }


def _made_up_row(signature: Signature) -> Any:
    if _size(signature) > MOST_VALUES:
        return None
    row: dict[str, Any] = {}
    for spec in signature.inputs:
        for name in spec.features or (spec.name,):
            row[name] = _filled(spec, () if spec.features else _extents(spec.shape[1:]))
    return row


def _extents(shape: Sequence[int]) -> tuple[int, ...]:
    """A list that may have any length has one value."""
    if tuple(shape) == (-1,):
        return (1,)
    return tuple(FREE_EXTENT if extent < 0 else extent for extent in shape)


def _filled(spec: TensorSpec, extents: tuple[int, ...]) -> Any:
    """Nested lists of one value."""
    if not extents:
        return _value(spec)
    return [_filled(spec, extents[1:]) for _ in range(extents[0])]


def _value(spec: TensorSpec) -> Any:
    if spec.categories:
        return spec.categories[0]
    if spec.datatype in FLOATS:
        return 0.5
    return _MADE_UP.get(spec.datatype, 1)


def _size(signature: Signature) -> int:
    shapes = (spec.shape[1:] if signature.batched else spec.shape for spec in signature.inputs)
    return sum(math.prod(_extents(shape)) for shape in shapes)


def _named(row: Any, signature: Signature) -> dict[str, Any]:
    """A row as an object of features and inputs."""
    if isinstance(row, dict) and row.keys() <= signature.known_names:
        return row
    if len(signature.inputs) > 1:
        return {spec.name: value for spec, value in zip(signature.inputs, row, strict=True)}
    (spec,) = signature.inputs
    if spec.features and isinstance(row, list):
        return dict(zip(spec.features, row, strict=True))
    return {spec.name: row}


def _invocations(row: Any) -> dict[str, Any]:
    flat = isinstance(row, dict) and not any(isinstance(v, list | dict) for v in row.values())
    return {"dataframe_records" if flat else "instances": [row]}


def _fits(row: Any, signature: Signature) -> bool:
    """Whether there is a row, and the signature takes it: an archive may have brought any."""
    if row is None:
        return False
    try:
        InputValidator("", signature, takes_bytes=True).prepare(
            tensors_from_instances(Instances([row]), signature)
        )
    except AuguriumError:
        return False
    return True


def _array(spec: TensorSpec, value: Any) -> Array:
    rank = len(spec.shape)
    values = checked_values(spec.name, spec.datatype, rank, value)
    return array_from_values(spec.name, spec.datatype, extents_of(values, rank), values)


def _infer(tensors: dict[str, Array], signature: Signature) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": spec.name,
                "shape": list(tensors[spec.name].shape),
                "datatype": spec.datatype,
                "data": _plain(spec, tensors[spec.name]),
            }
            for spec in signature.inputs
        ]
    }


def _plain(spec: TensorSpec, array: Array) -> list[Any]:
    values = array.ravel()
    if spec.datatype not in FLOATS:
        return list(values.tolist())
    # the shortest text of a float is the one that was given, 0.1 and not 0.10000000149011612
    numbers = [float(str(value)) for value in values]
    return [None if math.isnan(number) else number for number in numbers]
