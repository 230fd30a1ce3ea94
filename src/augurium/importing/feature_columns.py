"""Columns of a training table as the features of a signature: values to count, tensors to run.

Values are what an engine sees: cleaned, of the precision of their tensor, times in seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.moments import epoch_seconds
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec
from augurium.core.texts import cleaned
from augurium.importing.training_table import Block, Field, Kind
from augurium.statistics.reference_bins import Feature
from augurium.statistics.values import Values

MOST_SHOWN = 8

Columns = Mapping[str, Values]


class FeatureColumns:
    """Which column is which feature of `signature`.

    `absent` names the features that the table does not have, `unnamed` inputs that are no columns.
    Optional features that are absent count as missing.
    """

    def __init__(self, signature: Signature, fields: Sequence[Field]) -> None:
        self._signature = signature
        self._names = {field.name for field in fields}
        self._specs: dict[str, TensorSpec] = {}
        self.absent: list[str] = []
        self.unnamed: list[str] = []
        for spec in signature.inputs:
            names = _feature_names(spec)
            if not names:
                self.unnamed.append(spec.name)
            for name in names:
                if name in self._names or spec.optional:
                    self._specs[name] = spec
                else:
                    self.absent.append(name)

    @property
    def names(self) -> list[str]:
        """The features that can be counted, in the order of the signature."""
        return list(self._specs)

    def features(self) -> list[Feature]:
        """The same as features to find bins for."""
        return [
            Feature(name, is_text=spec.datatype == "BYTES") for name, spec in self._specs.items()
        ]

    def obstacle(self) -> str:
        """Why the table cannot be run through the model, for people; empty if it can."""
        if self.absent:
            return f"the training data lacks the features {self.absent[:MOST_SHOWN]}"
        if self.unnamed:
            return f"the inputs {self.unnamed[:MOST_SHOWN]} are no columns of a table"
        return "" if self._signature.batched else "the model has no batch dimension"

    def columns(self, block: Block) -> dict[str, Values]:
        """The features of a block, as an engine sees them."""
        rows = len(next(iter(block.values())))
        return {
            name: _seen(spec, block[name]) if name in block else _nothing(spec, rows)
            for name, spec in self._specs.items()
        }

    def servable(self, columns: Columns) -> Array:
        """A mask of the rows that a server would take."""
        masks = [_allowed(spec, columns[name]) for name, spec in self._specs.items()]
        found: Array = np.logical_and.reduce(masks)
        return found

    def tensors(self, columns: Columns, rows: Array) -> dict[str, Array]:
        """The inputs of the model for some rows, all of which are servable."""
        return {spec.name: self._tensor(spec, columns, rows) for spec in self._signature.inputs}

    def instance(self, columns: Columns, row: int) -> dict[str, Any]:
        """A servable row as a v1 instance."""
        return {
            name: _plain(spec, columns[name].content[row]) for name, spec in self._specs.items()
        }

    def _tensor(self, spec: TensorSpec, columns: Columns, rows: Array) -> Array:
        parts = [_filled(spec, columns[name].content[rows]) for name in _feature_names(spec)]
        if spec.features:
            return np.ascontiguousarray(np.column_stack(parts), spec.dtype)
        tensor: Array = parts[0].astype(spec.dtype).reshape(-1, *spec.shape[1:])
        return tensor


def _feature_names(spec: TensorSpec) -> tuple[str, ...]:
    if spec.features:
        return spec.features
    return (spec.name,) if spec.shape in ((-1,), (-1, 1)) else ()


def _seen(spec: TensorSpec, values: Values) -> Values:
    """The values as they reach the model; what is of another type stays so, and is counted."""
    is_object = values.content.dtype == np.object_
    if spec.datatype == "BYTES":
        return _cleaned(spec, values) if is_object and spec.cleaning else values
    if is_object:
        return _moments(values) if spec.moment else _rounded(spec, values)
    if spec.datatype not in FLOATS:
        return values
    with np.errstate(over="ignore"):
        rounded = values.content.astype(spec.dtype).astype(np.float64)
    return Values(rounded, values.missing)


def _cleaned(spec: TensorSpec, values: Values) -> Values:
    content = np.empty(len(values), np.object_)
    content[:] = [
        cleaned(value, spec.cleaning) if isinstance(value, str) else value
        for value in values.content.tolist()
    ]
    return Values(content)


def _moments(values: Values) -> Values:
    content = np.empty(len(values), np.object_)
    content[:] = [_moment(value) for value in values.content.tolist()]
    return Values(content)


def _rounded(spec: TensorSpec, values: Values) -> Values:
    if spec.datatype not in FLOATS:
        return values
    content = np.empty(len(values), np.object_)
    with np.errstate(over="ignore"):
        content[:] = [
            float(spec.dtype.type(value)) if isinstance(value, int | float) else value
            for value in values.content.tolist()
        ]
    return Values(content)


def _moment(value: Any) -> Any:
    try:
        return epoch_seconds(value) if isinstance(value, str) else value
    except InvalidArgument:
        return value


def _nothing(spec: TensorSpec, rows: int) -> Values:
    if spec.datatype == "BYTES":
        return Values(np.full(rows, None, np.object_))
    return Values(np.full(rows, np.nan), np.ones(rows, bool))


def _allowed(spec: TensorSpec, values: Values) -> Array:
    if spec.datatype == "BYTES":
        return _allowed_texts(spec, values)
    if values.content.dtype == np.object_:
        return np.array([_is_number(spec, value) for value in values.content.tolist()], bool)
    numbers = values.content
    if spec.datatype in FLOATS:
        return np.ones(len(numbers), bool) if spec.nullable else ~np.isnan(numbers)
    least, beyond = (0.0, 2.0) if spec.datatype == "BOOL" else _range(spec)
    with np.errstate(invalid="ignore"):
        whole: Array = (numbers >= least) & (numbers < beyond) & (numbers % 1 == 0)
    return whole


def _range(spec: TensorSpec) -> tuple[float, float]:
    """The least number, and the first one that is too large: both are floats without rounding."""
    found = np.iinfo(spec.dtype)
    return float(found.min), float(int(found.max) + 1)


def _is_number(spec: TensorSpec, value: Any) -> bool:
    if value is None:
        return spec.nullable
    return isinstance(value, int | float) or (spec.lenient and spec.nullable)


def _allowed_texts(spec: TensorSpec, values: Values) -> Array:
    if values.content.dtype != np.object_:
        return np.zeros(len(values), bool)
    known = frozenset(spec.categories)
    gaps = spec.nullable and spec.missing_value is not None

    def allowed(value: Any) -> bool:
        if value is None:
            return gaps
        if not isinstance(value, str):
            return spec.lenient and gaps
        return not known or value in known

    return np.array([allowed(value) for value in values.content.tolist()], bool)


def _filled(spec: TensorSpec, content: Array) -> Array:
    """Servable values with what stands for a missing one in their tensor."""
    if content.dtype != np.object_:
        return content
    text = spec.datatype == "BYTES"
    missing = spec.missing_value if text else np.nan
    kept = str if text else (int, float)
    filled: Array = np.empty(len(content), np.object_ if text else np.float64)
    filled[:] = [value if isinstance(value, kept) else missing for value in content.tolist()]
    return filled


def _plain(spec: TensorSpec, value: Any) -> Any:
    if spec.datatype == "BYTES":
        return value if isinstance(value, str) else None
    if not isinstance(value, int | float) or not np.isfinite(value):
        return None
    if spec.datatype == "BOOL":
        return bool(value)
    if spec.datatype not in FLOATS:
        return int(value)
    # the shortest number that is read as the same float: 0.1, not 0.10000000149011612
    return float(str(spec.dtype.type(value)))


def declared_kinds(signature: Signature) -> dict[str, Kind]:
    """Which features are texts, and which are numbers."""
    return {
        name: Kind.TEXT if spec.datatype == "BYTES" else Kind.NUMBER
        for spec in signature.inputs
        for name in _feature_names(spec)
        if not spec.moment
    }


def table_features(fields: Sequence[Field]) -> list[Feature]:
    """All columns of a table as features, where the signature names none of them."""
    return [Feature(field.name, is_text=field.is_text) for field in fields]
