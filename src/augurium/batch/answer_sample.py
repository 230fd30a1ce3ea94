"""The answers to some rows, evenly spaced, in the bins of the training profile."""

from typing import TYPE_CHECKING

import numpy as np

from augurium.batch.feature_scan import PIECE_ROWS
from augurium.core.signature import Signature
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile
from augurium.statistics.values import Values, joined

if TYPE_CHECKING:
    import pyarrow as pa


class AnswerSample:
    """The answers to every `stride`-th row; nothing without a profile that has outputs."""

    def __init__(self, signature: Signature, profile: Profile | None, stride: int) -> None:
        outputs = profile.outputs if profile else ()
        self._bins = {output.bins.name: output.bins for output in outputs}
        self._outputs = [spec.name for spec in signature.outputs]
        self._stride = stride
        self._ahead = 0
        self._parts: dict[str, list[Values]] = {}
        self._kept = 0
        self._profilers: dict[str, Profiler] = {}

    def add(self, outputs: "pa.RecordBatch") -> None:
        """Takes its share of more answers."""
        if not self._bins:
            return
        chosen = np.arange(self._ahead, outputs.num_rows, self._stride)
        self._ahead = (self._ahead - outputs.num_rows) % self._stride
        for name in self._outputs if len(chosen) else ():
            place = outputs.schema.get_field_index(name)
            if place >= 0:
                self._keep(name, outputs.column(place).take(chosen))
        self._kept += len(chosen)
        if self._kept >= PIECE_ROWS:
            self._count()

    def profiles(self) -> dict[str, FeatureProfile]:
        """What was counted, by the name in the profile."""
        self._count()
        return {name: profiler.profiles()[0] for name, profiler in self._profilers.items()}

    def _keep(self, name: str, answers: "pa.Array") -> None:
        """Takes answers apart as the profile does: a column for each value of an output."""
        # here, not above: pyarrow is an extra
        from augurium.importing.arrow_columns import values_of

        flat = flattened(answers)
        width = len(flat) // len(answers)
        for index in range(width):
            part = name if width == 1 else f"{name}[{index}]"
            if part in self._bins:
                values = values_of(flat.take(np.arange(index, len(flat), width)))
                self._parts.setdefault(part, []).append(values)

    def _count(self) -> None:
        for part, found in self._parts.items():
            if part not in self._profilers:
                self._profilers[part] = Profiler([self._bins[part]])
            self._profilers[part].update({part: joined(found)})
        self._parts, self._kept = {}, 0


def flattened(column: "pa.Array") -> "pa.Array":
    """The values of lists, and of lists of lists, behind each other; other columns as they are."""
    while hasattr(column.type, "value_type") and hasattr(column, "flatten"):
        column = column.flatten()
    return column
