"""A few rows of recent requests per model, kept in memory to warm up its next version with.

What is kept are rows as the model took them, in runs that went well, and whether the answer
was a sound one. Rows replace each other at random, so that they are a sample of the last
minutes or hours, whichever brings so many.
"""

import random
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec
import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec, is_float

MOST_ROWS = 32
MOST_ROW_BYTES = 64 * 1024
MOST_MODEL_BYTES = 256 * 1024
MOST_SIZES = 64
# seconds between two rows: short until there are some, long afterwards
FIRST_INTERVAL_S = 0.05
INTERVAL_S = 2.0
# of a text, its object and the place in an array
TEXT_BYTES = 64


class RecordedRow(msgspec.Struct, frozen=True):
    """The inputs of one row by name, each with a batch dimension of 1 if the model has one; of a
    model without, those of one request. `sound` says that its answer was, see `is_sound`.
    """

    inputs: dict[str, Array]
    batched: bool
    sound: bool

    @property
    def size_bytes(self) -> int:
        return sum(map(_size, self.inputs.values()))

    def fits(self, signature: Signature) -> bool:
        """Whether a version with this signature takes such rows."""
        return self.batched == signature.batched and all(
            spec.name in self.inputs and _fits(self.inputs[spec.name], spec)
            for spec in signature.inputs
        )


class ModelRows:
    """The rows of one model, and how many rows its latest runs had."""

    def __init__(self) -> None:
        self.rows: list[RecordedRow] = []
        self.sizes: deque[int] = deque(maxlen=MOST_SIZES)
        self.size_bytes = 0

    def add(self, row: RecordedRow) -> int:
        """By how many bytes they have become more."""
        change = row.size_bytes
        if len(self.rows) < MOST_ROWS and self.size_bytes + change <= MOST_MODEL_BYTES:
            self.rows.append(row)
        elif self.rows:
            place = random.randrange(len(self.rows))  # noqa: S311 - a sample, not a secret
            change -= self.rows[place].size_bytes
            self.rows[place] = row
        else:
            return 0
        self.size_bytes += change
        return change


class RecordedTraffic:
    """The rows of all models of an engine, `most_bytes` of them at most: the models that were asked
    longest ago lose theirs first. May be used from several threads.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._models: OrderedDict[str, ModelRows] = OrderedDict()
        # a sum over a thousand models for every row would take a third of an engine's time
        self._size_bytes = 0
        self._lock = threading.Lock()

    def recorder(self, model: str, signature: Signature) -> "Recorder | None":
        """What records for a version; None where nothing is kept."""
        return Recorder(self, model, signature) if self._most_bytes else None

    def note_size(self, model: str, rows: int) -> None:
        """A run of the model had so many rows."""
        with self._lock:
            self._models.setdefault(model, ModelRows()).sizes.append(rows)

    def add(self, model: str, row: RecordedRow) -> None:
        """Keeps a row."""
        with self._lock:
            self._size_bytes += self._models.setdefault(model, ModelRows()).add(row)
            self._models.move_to_end(model)
            while self._size_bytes > self._most_bytes:
                _, oldest = self._models.popitem(last=False)
                self._size_bytes -= oldest.size_bytes

    def rows(self, model: str, signature: Signature) -> list[RecordedRow]:
        """Rows of a model that a version with this signature takes."""
        with self._lock:
            found = self._models.get(model)
            return [row for row in found.rows if row.fits(signature)] if found else []

    def count(self, model: str) -> int:
        """How many rows of a model there are."""
        with self._lock:
            found = self._models.get(model)
            return len(found.rows) if found else 0

    def sizes(self, model: str, most: int) -> list[int]:
        """The sizes that most of the latest runs of a model had, rarer ones last."""
        with self._lock:
            found = self._models.get(model)
            sizes = list(found.sizes) if found else []
        return sorted(set(sizes), key=lambda size: (-sizes.count(size), size))[:most]

    def all(self) -> dict[str, list[RecordedRow]]:
        """Everything there is."""
        with self._lock:
            return {model: list(found.rows) for model, found in self._models.items()}


class Recorder:
    """Records for one version."""

    def __init__(self, traffic: RecordedTraffic, model: str, signature: Signature) -> None:
        self._traffic = traffic
        self._model = model
        self._signature = signature
        self._full = False

    def ran(self, inputs: Sequence[Array], outputs: Sequence[Array], now: float) -> float:
        """Keeps one row of a run that went well; when the next one is due."""
        self._full = self._full or self._traffic.count(self._model) >= MOST_ROWS
        due = now + (INTERVAL_S if self._full else FIRST_INTERVAL_S)
        batched = self._signature.batched
        count = len(inputs[0]) if batched else 1
        place = random.randrange(count) if batched and count else 0  # noqa: S311 - a sample
        if batched:
            inputs = [array[place : place + 1] for array in inputs]
            outputs = [array[place : place + 1] for array in outputs]
        if sum(map(_size, inputs)) > MOST_ROW_BYTES:
            self._traffic.note_size(self._model, count)
            return due
        names = [spec.name for spec in self._signature.inputs]
        # copies: the arrays are those of a request, and large beside one row
        kept = dict(zip(names, (array.copy() for array in inputs), strict=True))
        self._traffic.note_size(self._model, count)
        self._traffic.add(self._model, RecordedRow(kept, batched, is_sound(outputs)))
        return due


def is_sound(outputs: Sequence[Array]) -> bool:
    """Whether there is no NaN among the answers and, if they have floats at all, a finite one."""
    floats = [output for output in outputs if is_float(output.dtype) and output.size]
    if any(np.isnan(output).any() for output in floats):
        return False
    return not floats or any(np.isfinite(output).any() for output in floats)


def inputs_for(row: RecordedRow, signature: Signature) -> list[Array]:
    """A row in the order of a signature that it fits."""
    return [row.inputs[spec.name] for spec in signature.inputs]


def _size(array: Array) -> int:
    if array.dtype != np.object_:
        return array.nbytes
    return sum(TEXT_BYTES + (len(value) if value is not None else 0) for value in array.ravel())


def _fits(array: Array, spec: TensorSpec) -> bool:
    return (
        array.dtype == spec.dtype
        and array.ndim == len(spec.shape)
        and all(e in (-1, f) for e, f in zip(spec.shape, array.shape, strict=True))
    )
