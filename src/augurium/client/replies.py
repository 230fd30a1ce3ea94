"""What comes back from a prediction, in the forms people go on with."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from augurium.client.arrow_tables import arrow, column_values
from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

UNNAMED = "prediction"


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands beside an answer: which version gave it, and whether it is a lesser one.

    `cache` is `hit`, `miss` or `stale`; `degraded` is the reason for a lesser answer, and
    `degraded_step` what it comes from; `degraded_rows` are those that are lesser where not all are,
    such as `0-255,512-600`.
    """

    version: int | None = None
    variant: str | None = None
    cache: str | None = None
    degraded: str | None = None
    degraded_step: str | None = None
    degraded_rows: str | None = None
    request_id: str | None = None


class Predictions(Reply, frozen=True, kw_only=True):
    """One prediction per instance, in their order: a value, or an object of outputs by name."""

    predictions: list[Any]

    def columns(self) -> dict[str, list[Any]]:
        """The outputs by name; a single one, which has no name here, is called `prediction`."""
        found = self.predictions
        if found and all(isinstance(prediction, Mapping) for prediction in found):
            return {name: [prediction[name] for prediction in found] for name in found[0]}
        return {UNNAMED: found}

    def to_numpy(self) -> dict[str, Array]:
        """The outputs as arrays by name, with one row per instance; missing values are NaN."""
        return {name: _array(values) for name, values in self.columns().items()}

    def to_pandas(self) -> Any:
        """The outputs as a pandas DataFrame with a column each. Raises InvalidArgument without
        pandas.
        """
        return _pandas().DataFrame(self.columns())

    def to_arrow(self) -> Any:
        """The outputs as an Arrow table with a column each. Raises InvalidArgument without
        pyarrow.
        """
        return arrow().table(self.columns())


class PredictionTable(Reply, frozen=True, kw_only=True):
    """The answer to an Arrow table: a table with a column per output and a row per instance."""

    table: Any

    @property
    def predictions(self) -> list[Any]:
        """As `Predictions.predictions`: a value per row, or an object of outputs by name."""
        if self.table.num_columns == 1:
            values: list[Any] = self.table.column(0).to_pylist()
            return values
        rows: list[Any] = self.table.to_pylist()
        return rows

    def columns(self) -> dict[str, list[Any]]:
        """The outputs by name."""
        found: dict[str, list[Any]] = self.table.to_pydict()
        return found

    def to_numpy(self) -> dict[str, Array]:
        """The outputs as arrays by name, with one row per instance; missing values are NaN."""
        return {name: column_values(self.table.column(name)) for name in self.table.column_names}

    def to_pandas(self) -> Any:
        """The outputs as a pandas DataFrame with a column each. Raises InvalidArgument without
        pandas.
        """
        _pandas()
        return self.table.to_pandas()

    def to_arrow(self) -> Any:
        """The table itself."""
        return self.table


class Inference(Reply, frozen=True, kw_only=True):
    """Output tensors by name."""

    outputs: dict[str, Array]


class StreamReply(Reply, frozen=True, kw_only=True):
    """One of several answers to one request: plain values by output."""

    outputs: dict[str, Any]


def _array(values: list[Any]) -> Array:
    if any(value is None for value in values):
        texts = any(isinstance(value, str) for value in values)
        return np.array(values, dtype=object if texts else np.float64)
    try:
        found = np.array(values)
    except ValueError:  # rows of several lengths
        found = np.empty(len(values), dtype=object)
        found[:] = values
    return found.astype(object) if found.dtype.kind == "U" else found


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InvalidArgument("a DataFrame needs pandas: pip install pandas") from error
    return pandas
