"""In how many rows the features are null or no number."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


class NullCounts:
    """Counts all rows that are given. `sources` has the column of every feature."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._schema: pa.Schema | None = None
        self._places: list[tuple[str, int, bool]] = []
        self.rows = 0
        self.found: dict[str, int] = {}

    def add(self, columns: "pa.RecordBatch") -> None:
        """Counts more rows; columns have the names of the file, one that is not there is null."""
        self.rows += columns.num_rows
        if self._schema is None or not columns.schema.equals(self._schema):
            self._schema, self._places = columns.schema, self._placed(columns.schema)
        arrays = columns.columns
        for feature, place, is_float in self._places:
            nulls = columns.num_rows if place < 0 else _nulls(arrays[place], is_float)
            if nulls:
                self.found[feature] = self.found.get(feature, 0) + nulls

    def _placed(self, schema: "pa.Schema") -> list[tuple[str, int, bool]]:
        """Where each feature stands, and whether its numbers may be no numbers."""
        # here, not above: pyarrow is an extra
        import pyarrow as pa

        found = []
        for feature, source in self._sources.items():
            place = schema.get_field_index(source)
            is_float = place >= 0 and pa.types.is_floating(schema.field(place).type)
            found.append((feature, place, is_float))
        return found


def _nulls(column: "pa.Array", is_float: bool) -> int:
    if not is_float:
        return int(column.null_count)
    # nulls become NaN, so both are counted in one pass
    return int(np.count_nonzero(np.isnan(column.to_numpy(zero_copy_only=False))))
