"""The answers of a servable model to training rows, gathered for their profile."""

import time
from collections.abc import Sequence

import numpy as np

from augurium.core.errors import AuguriumError
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec
from augurium.importing.feature_columns import Columns, FeatureColumns
from augurium.runtimes.runtime import LoadedModel
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values

MAX_ROWS = 100_000
BATCH_ROWS = 1024
TRIED_ROWS = 64
MAX_COLUMNS = 64
MAX_CELLS = 16 * 1024**2
SEED = 1


class Answers:
    """Runs rows and keeps what came out. `rows` were answered, `failed` were not."""

    def __init__(
        self, model: LoadedModel, signature: Signature, columns: FeatureColumns, seconds: float
    ) -> None:
        self._model = model
        self._specs = [spec for spec in signature.outputs if _width(spec) <= MAX_COLUMNS]
        self.left_out = tuple(spec.name for spec in signature.outputs if _width(spec) > MAX_COLUMNS)
        self._columns = columns
        self._seconds = seconds
        self._parts: list[list[Array]] = []
        self.rows = self.failed = 0

    def affordable_rows(self, columns: Columns, available: int) -> int:
        """How many rows the model can be asked for in its time, going by some of a block."""
        tried = np.flatnonzero(self._columns.servable(columns))[:TRIED_ROWS]
        if not len(tried) or not self._specs:
            return 0
        width = sum(map(_width, self._specs))
        most = min(available, MAX_ROWS, max(BATCH_ROWS, MAX_CELLS // width))
        # the first run of a model takes longer than the others
        self._run(columns, tried)
        started = time.perf_counter()
        self._run(columns, tried)
        row_s = (time.perf_counter() - started) / len(tried)
        return min(most, int(self._seconds / max(row_s, 1e-9)))

    def ask(self, columns: Columns, rows: Array) -> None:
        """Runs those of the rows that a server would take."""
        servable = rows[self._columns.servable(columns)[rows]]
        for start in range(0, len(servable), BATCH_ROWS):
            batch = servable[start : start + BATCH_ROWS]
            found = self._run(columns, batch)
            if found is None:
                self.failed += len(batch)
            else:
                self._parts.append(found)
                self.rows += len(batch)

    def answers(self, columns: Columns, row: int) -> bool:
        """Whether a row is answered on its own."""
        return self._run(columns, np.array([row])) is not None

    def profiles(self) -> tuple[FeatureProfile, ...]:
        """The profiles of the outputs; empty if nothing was answered."""
        if not self._parts:
            return ()
        features, columns = [], {}
        for position, spec in enumerate(self._specs):
            joined = np.concatenate([part[position] for part in self._parts])
            for name, values in _split(spec, joined):
                is_text = spec.datatype == "BYTES"
                # labels are categories, scores numbers, however few there are
                label = spec.datatype not in FLOATS
                features.append(Feature(name, is_text=is_text, few_as_categories=label))
                columns[name] = Values(values if is_text else values.astype(np.float64))
        finder = ReferenceBins(features)
        finder.observe(columns)
        profiler = Profiler(finder.bins())
        profiler.update(columns)
        return profiler.profiles()

    def _run(self, columns: Columns, rows: Array) -> list[Array] | None:
        names = [spec.name for spec in self._specs]
        try:
            found = self._model.run(self._columns.tensors(columns, rows), names)
        except AuguriumError:
            return None
        return found if all(len(part) == len(rows) for part in found) else None


def random_rows(rows: int, count: int) -> Array:
    """Which of so many rows to run, ascending; the same in every import."""
    if count >= rows:
        return np.arange(rows)
    chosen = np.random.default_rng(SEED).choice(rows, count, replace=False, shuffle=False)
    return np.sort(chosen)


def _width(spec: TensorSpec) -> int:
    """How many numbers there are in a row, at least; more than MAX_COLUMNS if that is not known."""
    inner: Sequence[int] = spec.shape[1:]
    if any(extent < 0 for extent in inner):
        return MAX_COLUMNS + 1
    return int(np.prod(inner, dtype=np.int64))


def _split(spec: TensorSpec, answers: Array) -> list[tuple[str, Array]]:
    flat = answers.reshape(len(answers), -1)
    if flat.shape[1] == 1:
        return [(spec.name, flat[:, 0])]
    return [(f"{spec.name}[{index}]", flat[:, index]) for index in range(flat.shape[1])]
