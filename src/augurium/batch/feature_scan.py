"""The features of rows as they pass: missing ones are counted, and of some rows all are counted in
the bins of the training profile.

Both look at a column while it is in the cache: apart they took twice as long. Values are seen as
they were when the profile was made: `importing/feature_columns.py`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from augurium.core.signature import Signature
from augurium.importing.feature_columns import FeatureColumns
from augurium.importing.training_table import Field, Kind
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile
from augurium.statistics.values import Values, joined

if TYPE_CHECKING:
    import pyarrow as pa

# rows that are counted at once: what there is to do per column is small beside that
PIECE_ROWS = 8192
ABSENT = -1


class FeatureScan:
    """Counts the rows it is given; `rows` and `nulls` are all that passed.

    `sources` has the column of every feature; every `stride`-th row is held against `profile`,
    whatever the blocks in which rows come.
    """

    def __init__(
        self,
        signature: Signature,
        sources: Mapping[str, str],
        profile: Profile | None,
        stride: int,
    ) -> None:
        self._signature = signature
        self._sources = sources
        features = profile.features if profile else ()
        self._bins = {one.bins.name: one.bins for one in features if one.bins.name in sources}
        self._stride = stride
        self._ahead = 0
        self._schema: pa.Schema | None = None
        self._places: list[_Place] = []
        self._parts: dict[str, list[Values]] = {}
        self._kept = 0
        self._profiler: Profiler | None = None
        self._counted: tuple[str, ...] = ()
        self.rows = 0
        self.nulls: dict[str, int] = {}

    def add(self, columns: "pa.RecordBatch") -> None:
        """Counts more rows; columns have the names of the file, one that is not there is null."""
        if self._schema is None or not columns.schema.equals(self._schema):
            self._schema, self._places = columns.schema, self._placed(columns.schema)
        rows, arrays = columns.num_rows, columns.columns
        chosen = range(self._ahead, rows, self._stride)
        for one in self._places:
            column = None if one.place == ABSENT else arrays[one.place]
            nulls, sample = _scanned(column, one, chosen, rows)
            if nulls:
                self.nulls[one.feature] = self.nulls.get(one.feature, 0) + nulls
            if sample is not None:
                self._parts.setdefault(one.feature, []).append(sample)
        self.rows += rows
        self._ahead = (self._ahead - rows) % self._stride
        self._kept += len(chosen)
        if self._kept >= PIECE_ROWS:
            self._count()

    def profiles(self) -> dict[str, FeatureProfile]:
        """What was counted of some rows, by the name of the feature; nothing without a profile."""
        self._count()
        if self._profiler is None:
            return {}
        return dict(zip(self._counted, self._profiler.profiles(), strict=True))

    def _placed(self, schema: "pa.Schema") -> "list[_Place]":
        """Where each feature stands, and what its values are."""
        # here, not above: pyarrow is an extra
        import pyarrow as pa

        from augurium.importing.arrow_columns import kind_of

        found = []
        for feature, source in self._sources.items():
            place = schema.get_field_index(source)
            kind = None if place == ABSENT else schema.field(place).type
            is_float = kind is not None and pa.types.is_floating(kind)
            # lists are in no profile
            usable = kind is None or kind_of(kind) is not None
            found.append(_Place(feature, place, is_float, usable and feature in self._bins))
        return found

    def _count(self) -> None:
        if not self._kept:
            return
        block = {name: joined(parts) for name, parts in self._parts.items()}
        self._parts, self._kept = {}, 0
        if not block:
            return
        if self._profiler is None:
            self._counted = tuple(name for name in self._bins if name in block)
            self._profiler = Profiler([self._bins[name] for name in self._counted])
        rows = len(next(iter(block.values())))
        fields = [Field(name, Kind.NUMBER) for name in block]
        seen = FeatureColumns(self._signature, fields).columns(block)
        self._profiler.update({name: seen.get(name) or _absent(rows) for name in self._counted})


class _Place(NamedTuple):
    """A feature, the position of its column or ABSENT, and whether its values are sampled."""

    feature: str
    place: int
    is_float: bool
    sampled: bool


def _scanned(
    column: "pa.Array | None", one: _Place, chosen: range, rows: int
) -> tuple[int, Values | None]:
    """How many values are missing, and the chosen ones."""
    sampled = one.sampled and len(chosen) > 0
    if column is None:
        return rows, _absent(len(chosen)) if sampled else None
    if one.is_float:
        # nulls become NaN, so both are counted in one pass
        numbers = column.to_numpy(zero_copy_only=False)
        nulls = int(np.count_nonzero(np.isnan(numbers)))
        part = numbers[chosen.start :: chosen.step].astype(np.float64) if sampled else None
        return nulls, None if part is None else Values(part)
    return column.null_count, _taken(column, chosen) if sampled else None


def _taken(column: "pa.Array", chosen: range) -> Values:
    from augurium.importing.arrow_columns import values_of

    return values_of(column.take(np.arange(chosen.start, chosen.stop, chosen.step)))


def _absent(rows: int) -> Values:
    return Values(np.full(rows, np.nan), np.ones(rows, bool))
