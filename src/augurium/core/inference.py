"""One prediction: what every protocol decodes into and encodes from."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np

from augurium.core.identifiers import ModelRef
from augurium.core.priority import Priority
from augurium.core.tensors import Array, TensorSpec

# what the prediction cache had to do with an answer: all rows were in it; some were not; some were
# in it only as what they had been before they expired, and the model could not be asked
HIT, MISS, STALE = "hit", "miss", "stale"
# what marks a poorer answer: a header over REST, a parameter of the answer over gRPC
DEGRADED, DEGRADED_STEP = "augurium-degraded", "augurium-degraded-step"
# which of many rows are marked so
DEGRADED_ROWS = "augurium-degraded-rows"

# looks up what a caller said beside the body, a header or gRPC metadata, by its lower-case name
Header = Callable[[str], str | None]


class Instances(msgspec.Struct):
    """Rows in the v1 form: each a list in the signature's order, or an object of named features."""

    rows: list[Any]


class InferenceRequest(msgspec.Struct):
    """A request for one model version.

    `inputs` are tensors by name, or instances that still have to be turned into tensors.
    `deadline` is in seconds of the monotonic clock. `outputs` is empty when all are wanted. With
    `refresh` nothing is taken from the prediction cache. `priority` decides who is refused first.
    `header` is what a traffic policy may look at, None where the caller said nothing.
    `prediction_id` is the id in `x-request-id` over REST, of the caller or of this server.
    """

    model: ModelRef
    inputs: dict[str, Array] | Instances
    deadline: float
    id: str = ""
    outputs: Sequence[str] = ()
    parameters: Mapping[str, Any] = {}
    refresh: bool = False
    priority: Priority = Priority.NORMAL
    header: Header | None = None
    prediction_id: str = ""


_NOTHING = np.empty(0)


class BatchOutputs:
    """The outputs of one model run, shared by the requests that ran together."""

    __slots__ = ("_firsts", "_lists", "arrays")

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = arrays
        self._lists: list[tuple[list[Any], int] | None] = [None] * len(arrays)
        self._firsts: list[Any] | None = None

    def flat_list(self, index: int) -> tuple[list[Any], int]:
        """Output `index` as a flat list in row-major order, and how many of it are one row's; made
        once per run, not once per request.
        """
        found = self._lists[index]
        if found is None:
            array = self.arrays[index]
            found = self._lists[index] = (array.ravel().tolist(), prod(array.shape[1:]))
        return found

    def first_values(self) -> list[Any]:
        """The first value of every row of the first output; made once per run. Empty without one,
        and a single value where the output has no rows.
        """
        found = self._firsts
        if found is None:
            array = self.arrays[0] if self.arrays else _NOTHING
            rows = len(array) if array.ndim else 1
            found = array.reshape(rows, -1)[:, 0].tolist() if array.size else []
            self._firsts = found
        return found


class Answer:
    """One request's rows of a run: rows `start` to `stop`, or everything when `stop` is None.

    `cache` says what the prediction cache had to do with it, `""` where there is none. `since` is
    when the first of the rows was computed, if they come from there, in seconds of the monotonic
    clock.
    """

    __slots__ = ("_batch", "_start", "_stop", "cache", "since")

    def __init__(
        self,
        batch: BatchOutputs,
        start: int = 0,
        stop: int | None = None,
        cache: str = "",
        since: float = 0.0,
    ) -> None:
        self._batch = batch
        self._start = start
        self._stop = stop
        self.cache = cache
        self.since = since

    def row(self, number: int, cache: str = "") -> "Answer":
        """One row of this answer."""
        start = self._start + number
        return Answer(self._batch, start, start + 1, cache)

    def marked(self, cache: str) -> "Answer":
        """The same answer, of which the prediction cache has something else to say."""
        return Answer(self._batch, self._start, self._stop, cache, self.since)

    @property
    def size(self) -> int:
        """The number of outputs."""
        return len(self._batch.arrays)

    def array(self, index: int) -> Array:
        """Output `index` as an array; a view of the run's own."""
        array = self._batch.arrays[index]
        return array if self._stop is None else array[self._start : self._stop]

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of `array(index)`."""
        shape = self._batch.arrays[index].shape
        return shape if self._stop is None else (self._stop - self._start, *shape[1:])

    @property
    def first_value(self) -> Any:
        """The first value of `array(0)`, None where there is none."""
        start = self._start
        if start == self._stop:
            return None
        values = self._batch.first_values()
        return values[start] if start < len(values) else None

    def flat_list(self, index: int) -> list[Any]:
        """The values of `array(index)` as a flat list in row-major order."""
        values, width = self._batch.flat_list(index)
        if self._stop is None:
            return values
        return values[self._start * width : self._stop * width]


class InferenceResponse(msgspec.Struct):
    """An answer: `specs` are the outputs asked for, `indices` their places in `answer`; `batched`
    says whether the first dimension of each counts rows.

    `degraded` is why it is not the answer of the version that was asked, empty where it is, `step`
    what it comes from instead, such as `model:churn-small@3`, and `failure` the kind of the error
    that it spares the caller. `variant` is the name under which a traffic policy chose the version,
    empty without one, and `unit` who or what was assigned to it, empty where a rule decided.
    `prediction_id` is what a recorded prediction is called whose request had no id.
    """

    model: str
    version: int
    id: str
    specs: Sequence[TensorSpec]
    indices: Sequence[int]
    answer: Answer
    batched: bool = True
    degraded: str = ""
    step: str = ""
    failure: str = ""
    variant: str = ""
    unit: str = ""
    prediction_id: str = ""
