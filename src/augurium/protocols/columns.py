"""Inputs as whole columns by name, as TensorFlow Serving's columnar form and MLflow's `inputs` give
them.
"""

from collections.abc import Mapping
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.core.instances import tensor_of_column
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.texts import shown
from augurium.core.wrapped_bytes import KEY, is_wrapped


def tensors_of_inputs(inputs: Any, signature: Signature) -> dict[str, Array]:
    """The tensors of an object of inputs or features by name, or of the value of the only input.

    What is left out is for the signature to miss. Raises InvalidArgument for unknown names, and for
    values that do not fit.
    """
    if isinstance(inputs, dict) and not (is_wrapped(inputs) and KEY not in signature.known_names):
        return tensors_of_columns(inputs, signature)
    if len(signature.inputs) != 1:
        names = [spec.name for spec in signature.inputs]
        raise InvalidArgument(
            f"'inputs' is one value, but the model has {len(names)} inputs; send an object with"
            f" {shown(names)}"
        )
    return {signature.inputs[0].name: tensor_of_column(signature.inputs[0], inputs)}


def tensors_of_columns(columns: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    """The tensors of columns by the name of an input, or of a feature of one."""
    unknown = sorted(columns.keys() - signature.known_names)
    if unknown:
        raise InvalidArgument(
            f"'inputs' has unknown names {shown(unknown)}; expected"
            f" {shown(signature.expected_names)}"
        )
    found = {}
    for spec in signature.inputs:
        if spec.name in columns:
            check_given_once(spec, columns)
            found[spec.name] = tensor_of_column(spec, columns[spec.name])
        elif any(name in columns for name in spec.features):
            found[spec.name] = tensor_of_column(spec, _rows_of_features(spec, columns))
    return found


def check_given_once(spec: TensorSpec, columns: Mapping[str, Any]) -> None:
    """Raises InvalidArgument for a matrix that is given beside features of it."""
    twice = [name for name in spec.features if name in columns and name != spec.name]
    if twice:
        raise InvalidArgument(
            f"input '{spec.name}' is given as a whole and by its features {shown(twice)}; send one"
        )


def _rows_of_features(spec: TensorSpec, columns: Mapping[str, Any]) -> list[list[Any]]:
    missing = [name for name in spec.features if name not in columns]
    if missing and not spec.optional:
        raise InvalidArgument(f"the features {shown(missing)} of input '{spec.name}' are missing")
    given = {name: _column(name, columns[name]) for name in spec.features if name in columns}
    lengths = {len(column) for column in given.values()}
    if len(lengths) > 1:
        raise InvalidArgument(
            f"the features of input '{spec.name}' differ in rows: {sorted(lengths)}; send the same"
            " number for each"
        )
    nothing: list[Any] = [None] * lengths.pop()
    by_feature = [given.get(name, nothing) for name in spec.features]
    return [list(row) for row in zip(*by_feature, strict=True)]


def _column(name: str, values: Any) -> list[Any]:
    """One value per row, whether rows are given as values or as lists of one."""
    if not isinstance(values, list):
        raise InvalidArgument(f"feature '{name[:64]}' expects a list, one value per row")
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
