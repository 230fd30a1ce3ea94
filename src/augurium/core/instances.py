"""Instances, rows as lists or as objects of named features, to the tensors of a signature."""

from collections.abc import Sequence
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.moments import epoch_seconds
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.texts import shown
from augurium.core.values import array_from_values, checked_texts, checked_values, extents_of
from augurium.core.wrapped_bytes import KEY, is_wrapped, unwrapped


def tensors_from_instances(instances: Instances, signature: Signature) -> dict[str, Array]:
    """One tensor per input, with a row per instance.

    An object names features: those of `TensorSpec.features`, or the input itself. A list gives the
    inputs in the signature's order; with a single input, it is that input's row. Raises
    InvalidArgument for missing and unknown features, values of a wrong type, and mixed forms.
    """
    rows = instances.rows
    if not rows:
        raise InvalidArgument("'instances' is empty; send at least one row")
    if isinstance(rows[0], dict) and not _is_value(rows[0], signature):
        columns = _columns_of_objects(rows, signature)
    else:
        columns = _columns_of_lists(rows, signature)
    return {
        spec.name: tensor_of_column(spec, column)
        for spec, column in zip(signature.inputs, columns, strict=True)
    }


def _columns_of_objects(rows: list[Any], signature: Signature) -> list[list[Any]]:
    expected = signature.expected_names
    if signature.optional_features:
        rows = [_completed(row, signature) for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidArgument(
                f"instance {number} is not an object, but instance 0 is; send one form"
            )
        if len(row) != len(expected) or not all(name in row for name in expected):
            raise _wrong_features(number, row, expected)
    return [
        [[row[name] for name in spec.features] for row in rows]
        if spec.features
        else [row[spec.name] for row in rows]
        for spec in signature.inputs
    ]


def _completed(row: Any, signature: Signature) -> Any:
    """The row with nulls for the optional features that it leaves out."""
    if not isinstance(row, dict):
        return row
    return {**dict.fromkeys(signature.optional_features), **row}


def _is_value(row: dict[str, Any], signature: Signature) -> bool:
    """Whether an object is a wrapped value of the only input, not a row of named features."""
    return len(row) == 1 and is_wrapped(row) and KEY not in signature.input_by_name


def _columns_of_lists(rows: list[Any], signature: Signature) -> list[list[Any]]:
    if any(isinstance(row, dict) and not is_wrapped(row) for row in rows):
        raise InvalidArgument("instance 0 is not an object, but others are; send one form")
    width = len(signature.inputs)
    if width == 1:
        return [rows]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            got = f"{len(row)} values" if isinstance(row, list) else "one value"
            raise InvalidArgument(
                f"instance {number} has {got}; expected a list of {width}:"
                f" {shown([spec.name for spec in signature.inputs])}"
            )
    return [list(column) for column in zip(*rows, strict=True)]


def tensor_of_column(spec: TensorSpec, column: Any) -> Array:
    """All rows of one input, as a list of them; a row of shape [1] may be given as a bare value.

    An input without dimensions has its value alone. Raises InvalidArgument.
    """
    if spec.shape and (not isinstance(column, list) or not column):
        raise InvalidArgument(f"input '{spec.name}' expects a list of rows, at least one")
    bare = spec.shape == (-1, 1) and not isinstance(column[0], list)
    rank = 1 if bare else len(spec.shape)
    if spec.moment or spec.lenient:
        column = [_converted(spec, value) for value in column]
    try:
        values = checked_values(spec.name, spec.datatype, rank, column)
    except InvalidArgument:
        if spec.datatype != "BYTES":
            raise
        values = checked_texts(spec.name, rank, unwrapped(column))
    extents = extents_of(values, rank)
    shape = (*extents, 1) if bare else extents
    return array_from_values(spec.name, spec.datatype, shape, values)


def _converted(spec: TensorSpec, value: Any) -> Any:
    """A time given as text in seconds, a value of a wrong type as null where the spec says so."""
    if isinstance(value, list):
        return [_converted(spec, entry) for entry in value]
    if spec.datatype == "BYTES":
        value = unwrapped(value)
    if spec.moment and isinstance(value, str):
        try:
            return epoch_seconds(value)
        except InvalidArgument as error:
            if spec.lenient:
                return None
            raise InvalidArgument(f"feature '{spec.name}': {error}") from error
    expected = (str, bytes) if spec.datatype == "BYTES" else (int, float)
    fits = isinstance(value, expected) and not isinstance(value, bool)
    return value if fits or not spec.lenient else None


def _wrong_features(number: int, row: dict[str, Any], expected: Sequence[str]) -> InvalidArgument:
    missing = [name for name in expected if name not in row]
    unknown = sorted(set(row) - set(expected))
    parts = []
    if missing:
        parts.append(f"misses {shown(missing)}")
    if unknown:
        parts.append(f"has unknown features {shown(unknown)}")
    return InvalidArgument(f"instance {number} {' and '.join(parts)}; expected {shown(expected)}")
