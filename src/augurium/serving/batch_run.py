"""One model run for several requests: gather their rows, run, and give each its own rows back.

A run that fails is repeated in halves until the request that breaks it stands alone, so that its
neighbours get their answers.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from augurium.core.errors import DeadlineExceeded, ModelFailed
from augurium.core.inference import Answer, BatchOutputs
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving.executor import AsyncExecutor, Executor, RunLost
from augurium.serving.run_parameters import ParameterizedRun

NOTHING: Mapping[str, Any] = {}


class Rows(Protocol):
    """Some rows that may share a run with others that have an equal `key`."""

    @property
    def inputs(self) -> Sequence[Array]: ...

    @property
    def rows(self) -> int: ...

    @property
    def key(self) -> object: ...


AnyRows = TypeVar("AnyRows", bound=Rows)


class Entry:
    """One request in the queue or in a run.

    `key` is equal for entries that may share a run; `timer` tells a caller whose deadline passes.
    """

    __slots__ = ("deadline", "enqueued", "future", "inputs", "key", "priority", "rows", "timer")

    def __init__(
        self,
        inputs: Sequence[Array],
        rows: int,
        deadline: float,
        future: "asyncio.Future[Answer]",
        key: object = None,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        self.priority = priority
        self.inputs = inputs
        self.rows = rows
        self.key = key
        self.deadline = deadline
        self.future = future
        self.enqueued = time.monotonic()
        self.timer: asyncio.TimerHandle | None = None

    def expire(self) -> None:
        """Tells the caller that the deadline passed, wherever the entry is: waiting or running."""
        if not self.future.done():
            self.future.set_exception(DeadlineExceeded("Request timeout expired"))

    def settle(self, outcome: Answer | Exception) -> None:
        """Gives the caller the outcome, unless the caller left or was told already."""
        if self.timer is not None:
            self.timer.cancel()
        if self.future.done():
            return
        if isinstance(outcome, Answer):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class Execution(NamedTuple):
    """One successful model run: how many rows of how many requests it had, and how many seconds it
    took to gather them, to run, and to take the answers apart.
    """

    rows: int
    requests: int
    input_s: float
    infer_s: float
    output_s: float


class BatchResult(NamedTuple, Generic[AnyRows]):
    """What became of every entry of a batch, and the model runs that took."""

    outcomes: list[tuple[AnyRows, Answer | Exception]]
    executions: list[Execution]


def run_batch(executor: Executor, batch: list[AnyRows]) -> BatchResult[AnyRows]:
    """Runs the entries together. Blocking; may be called on any thread; raises nothing."""
    started = time.perf_counter()
    try:
        rows, inputs = _gathered(batch)
        gathered = time.perf_counter()
        outputs = _execute(executor, batch, rows, inputs)
    except ModelFailed as error:
        if len(batch) == 1 or isinstance(error, RunLost):
            return BatchResult([(entry, error) for entry in batch], [])
        half = len(batch) // 2
        first, second = run_batch(executor, batch[:half]), run_batch(executor, batch[half:])
        return BatchResult(first.outcomes + second.outcomes, first.executions + second.executions)
    except Exception as error:  # a fault of ours: without an answer the callers would wait for ever
        return BatchResult([(entry, error) for entry in batch], [])
    ran = time.perf_counter()
    outcomes = _split(batch, BatchOutputs(outputs))
    execution = Execution(
        rows, len(batch), gathered - started, ran - gathered, time.perf_counter() - ran
    )
    return BatchResult(outcomes, [execution])


class BatchUnderWay(Generic[AnyRows]):
    """The same by an executor that says when it is done; `ended` is called on its event loop."""

    def __init__(
        self,
        executor: AsyncExecutor,
        batch: list[AnyRows],
        deadline: float,
        ended: Callable[[BatchResult[AnyRows]], None],
    ) -> None:
        self._executor = executor
        self._batch = batch
        self._deadline = deadline
        self._ended = ended
        self._first_half: BatchResult[AnyRows] | None = None

    def begin(self) -> None:
        """Returns at once. `deadline` is when nobody waits for the answers any more."""
        self._started = time.perf_counter()
        try:
            self._rows, inputs = _gathered(self._batch)
        except Exception as error:  # a fault of ours: see run_batch
            self._ended(BatchResult([(entry, error) for entry in self._batch], []))
            return
        self._gathered = time.perf_counter()
        key = self._batch[0].key
        parameters = key.parameters if isinstance(key, ParameterizedRun) else NOTHING
        self._executor.begin(inputs, parameters, self._deadline, self._answered)

    def _answered(self, found: list[Array] | Exception) -> None:
        batch = self._batch
        if isinstance(found, list) and len(batch) > 1:
            found = _checked(found, self._rows)
        if not isinstance(found, Exception):
            ran = time.perf_counter()
            outcomes = _split(batch, BatchOutputs(found))
            waited_s, ran_s = self._gathered - self._started, ran - self._gathered
            done_s = time.perf_counter() - ran
            execution = Execution(self._rows, len(batch), waited_s, ran_s, done_s)
            self._ended(BatchResult(outcomes, [execution]))
        elif len(batch) == 1 or isinstance(found, RunLost) or not isinstance(found, ModelFailed):
            self._ended(BatchResult([(entry, found) for entry in batch], []))
        else:
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                BatchUnderWay(self._executor, part, self._deadline, self._half_ended).begin()

    def _half_ended(self, result: BatchResult[AnyRows]) -> None:
        first = self._first_half
        if first is None:
            self._first_half = result
            return
        self._ended(
            BatchResult(first.outcomes + result.outcomes, first.executions + result.executions)
        )


def _gathered(batch: Sequence[Rows]) -> tuple[int, Sequence[Array]]:
    """The number of rows of a batch, and its inputs."""
    if len(batch) == 1:
        return batch[0].rows, batch[0].inputs
    columns = zip(*(entry.inputs for entry in batch), strict=True)
    return sum(entry.rows for entry in batch), [np.concatenate(column) for column in columns]


def _execute(
    executor: Executor, batch: Sequence[Rows], rows: int, inputs: Sequence[Array]
) -> list[Array]:
    key = batch[0].key
    outputs = key.run(inputs) if isinstance(key, ParameterizedRun) else executor.run(inputs)
    found = outputs if len(batch) == 1 else _checked(outputs, rows)
    if isinstance(found, ModelFailed):
        raise found
    return found


def _checked(outputs: list[Array], rows: int) -> list[Array] | ModelFailed:
    """The outputs, if they can be taken apart."""
    for output in outputs:
        if output.shape[:1] != (rows,):
            return ModelFailed(
                f"the model answered {list(output.shape)} for a batch of {rows} rows;"
                " register it with a fixed batch dimension if its rows are not independent"
            )
    return outputs


def _split(batch: list[AnyRows], outputs: BatchOutputs) -> list[tuple[AnyRows, Answer | Exception]]:
    if len(batch) == 1:
        return [(batch[0], Answer(outputs))]
    answers: list[tuple[AnyRows, Answer | Exception]] = []
    start = 0
    for entry in batch:
        stop = start + entry.rows
        answers.append((entry, Answer(outputs, start, stop)))
        start = stop
    return answers
