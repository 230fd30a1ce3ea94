"""A named feature of the first row of a request, as a text that is the same over every protocol."""

import math
from typing import Any

import numpy as np

from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec, numpy_dtype

Inputs = dict[str, Array] | Instances


class FirstRow:
    """Reads one feature of requests for a signature."""

    def __init__(self, signature: Signature, feature: str) -> None:
        self._feature = feature
        self._single = len(signature.inputs) == 1
        self._place: tuple[int, TensorSpec] | None = None
        self._column: int | None = None
        for place, spec in enumerate(signature.inputs):
            if spec.name == feature or feature in spec.features:
                self._place = (place, spec)
                if feature in spec.features:
                    self._column = spec.features.index(feature)
                return

    def text(self, inputs: Inputs) -> str | None:
        """The value; None where it is missing, or the request is not as the model takes it."""
        if self._place is None:
            return None
        try:
            found = (
                self._of_instance(inputs.rows[0])
                if isinstance(inputs, Instances)
                else self._of_tensors(inputs)
            )
        except (LookupError, TypeError):
            # the version that answers says what is wrong
            return None
        return _text(found, self._place[1].datatype)

    def _of_instance(self, row: Any) -> Any:
        place, spec = self._place or (0, None)
        if isinstance(row, dict):
            if self._feature in row:
                return row[self._feature]
            row = row[spec.name] if spec else None
        elif not self._single:
            row = row[place]
        if self._column is not None:
            return row[self._column]
        return row

    def _of_tensors(self, inputs: dict[str, Array]) -> Any:
        array = inputs.get(self._feature)
        column = 0
        if array is None and self._column is not None and self._place is not None:
            array, column = inputs[self._place[1].name], self._column
        # rows come first, so this is in the first of them
        return None if array is None else array.flat[column]


def _text(value: Any, datatype: str) -> str | None:
    """Whole numbers without a fraction, others as the model is given them."""
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if not isinstance(value, int | float | np.number):
        return None
    if datatype.startswith("FP"):
        value = _as_given(value, datatype)
        if math.isnan(value):
            return None
    return number_text(value)


def _as_given(value: Any, datatype: str) -> float:
    """JSON has 0.1, a tensor of 32 bits the nearest it can hold: they are one unit."""
    try:
        with np.errstate(over="ignore"):
            return float(numpy_dtype(datatype).type(value))
    except OverflowError:
        return math.nan


def number_text(value: float) -> str:
    """1 and 1.0 are the same."""
    if isinstance(value, float | np.floating):
        return (
            str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))
        )
    return str(int(value))
