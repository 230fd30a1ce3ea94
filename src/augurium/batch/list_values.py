"""Lists as a model takes them: rows of one size, one behind the other. Imports pyarrow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from augurium.batch.feature_values import Fault, Values, absent, single_values, value_of
from augurium.batch.input_schema import Feature, expected_type, is_list

_types = pa.types


def list_values(feature: Feature, column: Any) -> Values:
    """Rows of one size, one behind the other."""
    if feature.width is None:
        found = list_values(
            feature._replace(width=1, arrow_type=pa.list_(value_of(feature), 1)), column
        )
        return Values(pc.list_element(found.array, 0), found.faults)
    good, flat = _flat(feature, column)
    if good.all():
        return _elements(feature, flat)
    bad = np.flatnonzero(~good)
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    wrong = bad[~nulls[bad]]
    faults = [
        Fault(bad[nulls[bad]], "missing", lambda _: absent()),
        Fault(wrong, "wrong_type", lambda _: f"expected {expected_type(feature)} in the row"),
    ]
    kept = np.flatnonzero(good)
    found = _elements(feature, _flat(feature, column.filter(pa.array(good)))[1])
    back = np.where(good, np.cumsum(good) - 1, 0)
    array = found.array.take(pa.array(back, mask=~good))
    moved = [fault._replace(places=kept[fault.places]) for fault in found.faults]
    # their reasons look at places of what is left
    old = dict(zip(kept.tolist(), range(len(kept)), strict=True))
    told = [fault._replace(reason=_told_of(fault, old.__getitem__)) for fault in moved]
    return Values(array, tuple(fault for fault in (*faults, *told) if len(fault.places)))


def _elements(feature: Feature, flat: Any) -> Values:
    width = feature.width or 1
    found = single_values(feature._replace(width=None, arrow_type=value_of(feature)), flat)
    faults = [
        Fault(
            np.unique(fault.places // width),
            fault.kind,
            _told_of(fault, _first_of(fault, width)),
        )
        for fault in found.faults
    ]
    return Values(_of_width(found.array, width), tuple(faults))


def _told_of(fault: Fault, moved: Callable[[int], int]) -> Callable[[int], str]:
    """The reason of a fault, by places that are to be `moved` to its own."""
    return lambda place: fault.reason(moved(place))


def _first_of(fault: Fault, width: int) -> Callable[[int], int]:
    """The first value at fault of a row."""
    return lambda row: int(fault.places[np.searchsorted(fault.places, row * width)])


def _flat(feature: Feature, column: Any) -> tuple[npt.NDArray[np.bool_], Any]:
    """Which rows have as many values as they should, and all values."""
    inner = feature.spec.shape[1:]
    good = column.is_valid().to_numpy(zero_copy_only=False)
    depth = _depth(column.type)
    sizes = (feature.width,) if depth == 1 else inner
    if depth > 1 and depth != len(inner):
        return np.zeros(len(column), np.bool_), column
    starts = np.arange(len(column) + 1)
    for size in sizes:
        offsets = _offsets(column)
        wrong = np.concatenate(([0], np.cumsum(np.diff(offsets) != size)))
        good &= wrong[starts[1:]] == wrong[starts[:-1]]
        starts = offsets[starts] - offsets[0]
        column = column.flatten() if not _types.is_fixed_size_list(column.type) else _below(column)
    return good, column


def _below(column: Any) -> Any:
    size = column.type.list_size
    return column.values.slice(column.offset * size, len(column) * size)


def _offsets(column: Any) -> npt.NDArray[np.int64]:
    if _types.is_fixed_size_list(column.type):
        size = int(column.type.list_size)
        return np.arange(len(column) + 1, dtype=np.int64) * size
    # a missing list counts as an empty one
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    return found


def _depth(kind: Any) -> int:
    depth = 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth


def _of_width(values: Any, width: int) -> Any:
    return pa.FixedSizeListArray.from_arrays(values, width)
