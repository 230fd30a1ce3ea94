"""Some rows of a partition, evenly spaced, counted in the bins of the training profile.

Values are seen as they were when the profile was made: `importing/feature_columns.py`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.importing.feature_columns import FeatureColumns
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile
from augurium.statistics.values import Values

if TYPE_CHECKING:
    import pyarrow as pa

# rows that are counted at once: what there is to do per column is small beside that
PIECE_ROWS = 8192


class FeatureSample:
    """The features of every `stride`-th row; nothing without a profile."""

    def __init__(
        self,
        signature: Signature,
        sources: Mapping[str, str],
        profile: Profile | None,
        stride: int,
    ) -> None:
        self._signature = signature
        features = profile.features if profile else ()
        self._sources = {
            feature.bins.name: sources[feature.bins.name]
            for feature in features
            if feature.bins.name in sources
        }
        self._bins = {feature.bins.name: feature.bins for feature in features}
        self._rows = _StridedRows(stride)
        self._profiler: Profiler | None = None
        self._counted: tuple[str, ...] = ()

    def add(self, columns: "pa.RecordBatch") -> None:
        """Takes its share of more rows; columns have the names of the file."""
        if not self._sources:
            return
        present = [source for source in self._sources.values() if source in columns.schema.names]
        piece = self._rows.add(columns.select(list(dict.fromkeys(present))))
        if piece is not None:
            self._count(piece)

    def profiles(self) -> dict[str, FeatureProfile]:
        """What was counted, by the name of the feature."""
        piece = self._rows.rest()
        if piece is not None:
            self._count(piece)
        if self._profiler is None:
            return {}
        return dict(zip(self._counted, self._profiler.profiles(), strict=True))

    def _count(self, piece: "pa.Table") -> None:
        # here, not above: pyarrow is an extra
        from augurium.importing.arrow_columns import fields_of, kind_of, values_of

        usable = {
            name: piece.column(source)
            for name, source in self._sources.items()
            if source in piece.schema.names and kind_of(piece.schema.field(source).type)
        }
        if not usable:
            return
        schema = [piece.schema.field(self._sources[name]).with_name(name) for name in usable]
        seen = FeatureColumns(self._signature, fields_of(schema)[0])
        values = seen.columns({name: values_of(column) for name, column in usable.items()})
        if self._profiler is None:
            self._counted = tuple(name for name in self._bins if name in values)
            self._profiler = Profiler([self._bins[name] for name in self._counted])
        self._profiler.update({name: values.get(name) or _absent(piece) for name in self._counted})


class AnswerSample:
    """The answers to every `stride`-th row; nothing without a profile that has outputs."""

    def __init__(self, signature: Signature, profile: Profile | None, stride: int) -> None:
        self._bins = (
            {output.bins.name: output.bins for output in profile.outputs} if profile else {}
        )
        self._texts = {spec.name for spec in signature.outputs if spec.datatype == "BYTES"}
        self._outputs = [spec.name for spec in signature.outputs]
        self._rows = _StridedRows(stride)
        self._profilers: dict[str, Profiler] = {}

    def add(self, outputs: "pa.RecordBatch") -> None:
        """Takes its share of more answers."""
        if not self._bins:
            return
        present = [name for name in self._outputs if name in outputs.schema.names]
        piece = self._rows.add(outputs.select(present))
        if piece is not None:
            self._count(piece)

    def profiles(self) -> dict[str, FeatureProfile]:
        """What was counted, by the name in the profile."""
        piece = self._rows.rest()
        if piece is not None:
            self._count(piece)
        return {name: profiler.profiles()[0] for name, profiler in self._profilers.items()}

    def _count(self, piece: "pa.Table") -> None:
        for name in piece.schema.names:
            for part, values in _numbers(name, piece.column(name), name in self._texts):
                bins = self._bins.get(part)
                if bins is None:
                    continue
                if part not in self._profilers:
                    self._profilers[part] = Profiler([bins])
                self._profilers[part].update({part: values})


class _StridedRows:
    """Every `stride`-th row of what passes, in pieces; it doesn't matter in which blocks."""

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._ahead = 0
        self._kept: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, block: "pa.RecordBatch") -> "pa.Table | None":
        """A piece that is full, or of another schema than what comes now."""
        chosen = np.arange(self._ahead, block.num_rows, self._stride)
        self._ahead = (self._ahead - block.num_rows) % self._stride
        if not len(chosen):
            return None
        changed = bool(self._kept) and not self._kept[0].schema.equals(block.schema)
        piece = self.rest() if changed or self._rows >= PIECE_ROWS else None
        self._kept.append(block.take(chosen) if self._stride > 1 else block)
        self._rows += len(chosen)
        return piece

    def rest(self) -> "pa.Table | None":
        """What was kept and in no piece yet."""
        import pyarrow as pa

        if not self._kept:
            return None
        piece = pa.Table.from_batches(self._kept)
        self._kept, self._rows = [], 0
        return piece


def _numbers(name: str, column: "pa.ChunkedArray", text: bool) -> Sequence[tuple[str, Values]]:
    """The answers of an output as the profile has them: one column per number."""
    from augurium.importing.arrow_columns import kind_of, values_of

    if kind_of(column.type) or text:
        return [(name, values_of(column))]
    rows = len(column)
    flat = column.combine_chunks()
    while hasattr(flat, "flatten") and hasattr(flat.type, "value_type"):
        flat = flat.flatten()
    numbers: Array = flat.to_numpy(zero_copy_only=False).astype(np.float64)
    if not rows or len(numbers) % rows:
        return []
    columns = numbers.reshape(rows, -1)
    if columns.shape[1] == 1:
        return [(name, Values(columns[:, 0]))]
    return [(f"{name}[{index}]", Values(columns[:, index])) for index in range(columns.shape[1])]


def _absent(piece: "pa.Table") -> Values:
    rows = piece.num_rows
    return Values(np.full(rows, np.nan), np.ones(rows, bool))
