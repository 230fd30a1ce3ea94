"""Values of JSON as columns: what msgspec is to decode them to, and arrays of that.

Imports pyarrow.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from augurium.batch.text_rows import TypedColumn
from augurium.batch.text_values import has_infinity

# msgspec takes no limit beyond this; what is greater is found when the array is made
GREATEST_LIMIT = 2**63 - 1

_types = pa.types


class JsonColumn(NamedTuple):
    """A column of an Arrow type, what its values are decoded to, and what is done to each then."""

    kind: Any
    decoded: Any
    converted: Callable[[Any], Any] | None = None

    def array(self, values: Sequence[Any]) -> Any:
        """Raises OverflowError for a number that is too large for the type."""
        if self.converted is not None:
            values = [self.converted(value) for value in values]
        found = pa.array(values, self.kind)
        flat = found
        while _types.is_list(flat.type):
            flat = flat.flatten()
        if has_infinity(flat):
            # JSON has no infinity
            raise OverflowError
        return found

    def holds(self, value: Any) -> bool:
        """Whether a value is not too large for the type."""
        if not isinstance(value, int | float | list):
            return True
        try:
            self.array((value,))
        except OverflowError:
            return False
        return True


def json_column(kind: Any, feature: TypedColumn | None) -> JsonColumn:
    """How a column is read; one that is no feature and of texts takes any value, as JSON."""
    if feature is None:
        return JsonColumn(kind, Any, _as_json) if _types.is_string(kind) else _strict(kind)
    if feature.moment:
        taken: Any = Any if feature.lenient else str | int | float
        return JsonColumn(kind, taken, _as_moment)
    if feature.lenient:
        fits = _is_text if _types.is_string(kind) else _is_number(kind)
        return JsonColumn(kind, Any, lambda value: value if fits(value) else None)
    return _strict(kind)


def _strict(kind: Any) -> JsonColumn:
    return JsonColumn(kind, _decoded(kind))


def _decoded(kind: Any) -> Any:
    if _types.is_list(kind):
        return list[_decoded(kind.value_type) | None]  # type: ignore[misc]
    if _types.is_string(kind):
        return str
    if _types.is_boolean(kind):
        return bool
    if _types.is_floating(kind):
        return float
    limits = np.iinfo(kind.to_pandas_dtype())
    most = int(limits.max) if limits.max <= GREATEST_LIMIT else None
    return Annotated[int, Meta(ge=int(limits.min), le=most)]


def _as_json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _as_moment(value: Any) -> str | None:
    fits = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value) if fits else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(kind: Any) -> Callable[[Any], bool]:
    most = float(np.finfo(kind.to_pandas_dtype()).max)

    def fits(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and abs(value) <= most

    return fits
