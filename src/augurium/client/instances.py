"""Instances: the rows of a prediction request as plain JSON values."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from augurium.client.arrow_tables import arrow_table, is_arrow
from augurium.core.errors import InvalidArgument
from augurium.core.wrapped_bytes import wrapped


class Instances(msgspec.Struct, frozen=True):
    """What is asked about, in the form in which it is sent: JSON values, or an Arrow table."""

    rows: list[Any] | None = None
    table: Any = None

    @property
    def plain(self) -> list[Any]:
        """As JSON values, whichever form they have."""
        if self.rows is not None:
            return self.rows
        return plain_instances(self.table.to_pylist())


def sendable(instances: object) -> Instances:
    """Instances as they are sent: a table of Arrow as one, everything else as JSON values.

    Raises InvalidArgument as `plain_instances`, and for an Arrow table without pyarrow.
    """
    if is_arrow(instances):
        return Instances(table=arrow_table(instances))
    return Instances(rows=plain_instances(instances))


def plain_instances(instances: object) -> list[Any]:
    """Rows as JSON values, from a list of rows or objects, a NumPy array or a pandas DataFrame.

    A NumPy array with named fields is one object per element. NaN becomes null, which means a
    missing value; bytes become `{"b64": "..."}`. Raises InvalidArgument for infinities and for what
    is not a list of instances.
    """
    if hasattr(instances, "to_dict"):
        instances = instances.to_dict("records")
    found = plain_value(instances)
    if not isinstance(found, list):
        raise InvalidArgument(
            f"instances are a {type(instances).__name__}; expected a list with one entry per "
            "instance, such as [{'age': 31}] or [[1.0, 2.0]]"
        )
    return found


def plain_value(value: Any) -> Any:
    """A value as JSON has it: arrays as lists, NaN as None, bytes wrapped in Base64.

    Raises InvalidArgument for infinities.
    """
    # arrays without NaN and infinities are the usual case and need no walk
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            return [
                plain_value(dict(zip(value.dtype.names, row, strict=True)))
                for row in value.tolist()
            ]
        listed = value.tolist()
        clean = value.dtype.kind in "biuU" or (value.dtype.kind == "f" and np.isfinite(value).all())
        return listed if clean else plain_value(listed)
    if isinstance(value, np.generic):
        return plain_value(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(entry) for entry in value]
    if isinstance(value, bytes):
        return wrapped(value)
    return _plain_float(value) if isinstance(value, float) else value


def _plain_float(value: float) -> float | None:
    if math.isinf(value):
        raise InvalidArgument(
            "instances contain an infinity, which JSON cannot say; use a finite number, or "
            "Client.infer, which sends binary tensors"
        )
    return None if math.isnan(value) else value
