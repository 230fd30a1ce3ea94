"""Rows of a file held against the signature: what fits becomes a block, the others are set aside.

Imports pyarrow.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from augurium.batch.feature_values import Fault, Values, single_values
from augurium.batch.input_schema import Feature, is_list
from augurium.batch.list_values import list_values
from augurium.batch.partition import RejectedRow, RowBlock

Reject = Callable[[RejectedRow], None]


class RowCheck:
    """Makes blocks of `schema`: the features in their types, and the columns that are kept.

    A row is told of once, for the first column at fault in the order of the signature.
    """

    def __init__(self, features: Sequence[Feature], kept: Sequence[str], schema: pa.Schema) -> None:
        self._features = features
        self._kept = kept
        self._schema = schema

    def block(
        self, columns: pa.RecordBatch, rows: npt.NDArray[np.int64], file: str, reject: Reject
    ) -> RowBlock:
        """Those of the rows that can be scored; `columns` has them as they are in the file."""
        arrays: list[Any] = []
        faults: list[tuple[Feature, Fault]] = []
        for feature in self._features:
            found = _values(feature, columns.column(feature.column))
            arrays.append(found.array)
            faults += [(feature, fault) for fault in found.faults]
        arrays += [columns.column(name) for name in self._kept]
        checked = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if not faults:
            return RowBlock(checked, file, rows)
        good = _set_aside(faults, rows, file, reject)
        return RowBlock(checked.filter(pa.array(good)), file, rows[good])


def _values(feature: Feature, column: Any) -> Values:
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if is_list(column.type):
        return list_values(feature, column)
    return single_values(feature, column)


def _set_aside(
    faults: Sequence[tuple[Feature, Fault]],
    rows: npt.NDArray[np.int64],
    file: str,
    reject: Reject,
) -> npt.NDArray[np.bool_]:
    """Tells of each row at fault, in the order of the file; which of them are good."""
    first: dict[int, tuple[Feature, Fault]] = {}
    for feature, fault in faults:
        for place in fault.places.tolist():
            first.setdefault(place, (feature, fault))
    good = np.ones(len(rows), np.bool_)
    for place in sorted(first):
        feature, fault = first[place]
        good[place] = False
        reason = fault.reason(place)
        reject(RejectedRow(file, int(rows[place]), feature.column, fault.kind, reason))
    return good
