"""Instances: the rows of a prediction request as plain JSON values."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument


def plain_instances(instances: object) -> list[Any]:
    """Rows as JSON values, from a list of rows or objects, a NumPy array or a pandas DataFrame.

    NaN becomes null, which means a missing value. Raises InvalidArgument for infinities and for
    what is not a list of instances.
    """
    if hasattr(instances, "to_dict"):
        instances = instances.to_dict("records")
    found = _plain(instances)
    if not isinstance(found, list):
        raise InvalidArgument(
            f"instances are a {type(instances).__name__}; expected a list with one entry per "
            "instance, such as [{'age': 31}] or [[1.0, 2.0]]"
        )
    return found


def _plain(value: Any) -> Any:
    # arrays without NaN and infinities are the usual case and need no walk
    if isinstance(value, np.ndarray):
        listed = value.tolist()
        clean = value.dtype.kind in "biuU" or (value.dtype.kind == "f" and np.isfinite(value).all())
        return listed if clean else _plain(listed)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return _plain_float(value) if isinstance(value, float) else value


def _plain_float(value: float) -> float | None:
    if math.isinf(value):
        raise InvalidArgument(
            "instances contain an infinity, which JSON cannot say; use a finite number, or "
            "Client.infer, which sends binary tensors"
        )
    return None if math.isnan(value) else value
