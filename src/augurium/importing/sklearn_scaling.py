"""Scalers in double precision inside the graph, as scikit-learn computes them.

Thresholds of trees are values of the training data. In single precision a scaled value comes out
one digit beside its threshold and takes the other branch: behind a MinMaxScaler, XGBoost's answers
to 5 of 100 training rows were wrong, by up to 0.66.

Imports skl2onnx, therefore used in child processes only.
"""

from typing import Any

import numpy as np
from skl2onnx.common._registration import register_converter
from skl2onnx.operator_converters.common import concatenate_variables
from skl2onnx.proto import onnx_proto
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from augurium.core.tensors import Array

SCALERS = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)
OPERATORS = ("SklearnMaxAbsScaler", "SklearnMinMaxScaler", "SklearnRobustScaler", "SklearnScaler")


def register() -> None:
    """Replaces skl2onnx's converters, which compute in single precision."""
    for operator in OPERATORS:
        register_converter(operator, _convert, overwrite=True)


def scale_before_imputing(pipeline: Any) -> None:
    """Swaps an imputer and the scaler behind it, in place.

    The graph keeps what is imputed in single precision; scaled by scikit-learn, it is exact.
    """
    for index, (first, second) in enumerate(zip(pipeline.steps, pipeline.steps[1:], strict=False)):
        (_, imputer), (_, scaler) = first, second
        # a pipeline also keeps what it was before it was fitted
        fitted = hasattr(imputer, "statistics_") and hasattr(scaler, "n_features_in_")
        if fitted and isinstance(scaler, SCALERS) and _is_plain(imputer):
            statistics = np.asarray(imputer.statistics_, np.float64).reshape(1, -1)
            imputer.statistics_ = _scaled(scaler, statistics)[0]
            pipeline.steps[index], pipeline.steps[index + 1] = second, first


def _is_plain(imputer: Any) -> bool:
    """One number per column for NaN, and nothing else."""
    return (
        isinstance(imputer, SimpleImputer)
        and isinstance(imputer.missing_values, float)
        and np.isnan(imputer.missing_values)
        and getattr(imputer, "indicator_", None) is None
        and np.asarray(imputer.statistics_).dtype.kind in "fiu"
        and bool(np.isfinite(np.asarray(imputer.statistics_, np.float64)).all())
    )


def _steps(scaler: Any) -> list[tuple[str, Array]]:
    """The operations of a fitted scaler, in scikit-learn's order and with its numbers."""
    if isinstance(scaler, MinMaxScaler):
        steps = [("Mul", scaler.scale_), ("Add", scaler.min_)]
        if scaler.clip:
            low, high = scaler.feature_range
            steps += [("Max", np.array([low])), ("Min", np.array([high]))]
        return steps
    if isinstance(scaler, MaxAbsScaler):
        return [("Div", scaler.scale_)]
    if isinstance(scaler, RobustScaler):
        shift = scaler.center_ if scaler.with_centering else None
        scale = scaler.scale_ if scaler.with_scaling else None
    else:
        shift = scaler.mean_ if scaler.with_mean else None
        scale = scaler.scale_ if scaler.with_std else None
    found = (("Sub", shift), ("Div", scale))
    return [(operator, values) for operator, values in found if values is not None]


def _scaled(scaler: Any, rows: Array) -> Array:
    functions = {
        "Sub": np.subtract,
        "Div": np.divide,
        "Mul": np.multiply,
        "Add": np.add,
        "Max": np.maximum,
        "Min": np.minimum,
    }
    for operator, values in _steps(scaler):
        rows = functions[operator](rows, values)
    return rows


def _convert(scope: Any, operator: Any, container: Any) -> None:
    if len(operator.inputs) > 1:
        given = concatenate_variables(scope, operator.inputs, container)
    else:
        given = operator.inputs[0].full_name
    given = _cast(scope, container, given, onnx_proto.TensorProto.DOUBLE)
    for kind, values in _steps(operator.raw_operator):
        constant = scope.get_unique_variable_name(f"{kind.lower()}_by")
        numbers = np.asarray(values, np.float64)
        container.add_initializer(
            constant, onnx_proto.TensorProto.DOUBLE, list(numbers.shape), numbers.tolist()
        )
        found = scope.get_unique_variable_name("scaled")
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, [given, constant], found, name=name)
        given = found
    _cast(
        scope,
        container,
        given,
        onnx_proto.TensorProto.FLOAT,
        operator.outputs[0].full_name,
    )


def _cast(scope: Any, container: Any, given: str, kind: int, found: str = "") -> str:
    found = found or scope.get_unique_variable_name("cast")
    container.add_node("Cast", given, found, name=scope.get_unique_operator_name("Cast"), to=kind)
    return found
