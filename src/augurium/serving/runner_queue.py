"""The queue of one version in a runner: what engines sent while a run was under way runs together.

It is work-conserving as the batcher of an engine is, whose batches it puts together: while nothing
runs, all that has come runs at once; while something runs, batches collect, until they fill a run
or the oldest has waited for its delay. Runs that are expected to be short are made on the thread
that reads and writes, which saves two hand-overs.
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from augurium.core.errors import AuguriumError, ModelFailed
from augurium.core.inference import Answer
from augurium.core.tensors import Array, numpy_dtype
from augurium.runtimes.runtime import DeviceLost, DeviceModel, LoadedModel, ParameterizedModel
from augurium.serving import runner_wire as wire
from augurium.serving.batch_run import BatchResult, run_batch
from augurium.serving.executor import INLINE_LIMIT_S, CostModel
from augurium.serving.run_parameters import ParameterizedRun
from augurium.serving.runner_turns import Turn, Turns

MESSAGE_CHARACTERS = 2000
# exit code of a runner whose device is lost
DEVICE_LOST = 75
NOTHING: Mapping[str, Any] = {}
# has the thread that serves do something
Errand = Callable[[Callable[[], None]], None]


class Asker(Protocol):
    """Who sent a batch."""

    def begins(self, run: int) -> None:
        """The run begins now."""
        ...

    def answer(self, order: wire.Run, outcome: Answer | Exception) -> None: ...


class Job:
    """One batch of one engine."""

    __slots__ = ("asker", "came", "inputs", "key", "order", "rows")

    def __init__(self, asker: Asker, order: wire.Run, inputs: Sequence[Array], key: object) -> None:
        self.asker = asker
        self.order = order
        self.inputs = inputs
        self.rows = inputs[0].shape[0] if inputs and inputs[0].ndim else 1
        self.key = key
        self.came = time.monotonic()


class ModelRuns:
    """A model in this process; what it raises is a ModelFailed, whatever it raises, and so is an
    answer of other `datatypes` than its outputs have: rows that ran with those are asked again.
    """

    def __init__(
        self,
        model: LoadedModel,
        inputs: Sequence[str],
        outputs: Sequence[str],
        datatypes: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._dtypes = [numpy_dtype(datatype) for datatype in datatypes]
        self._cost = CostModel()
        # its runs overlap, and none of them needs this processor
        self._on_device = isinstance(model, DeviceModel)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return self.run_with(inputs, NOTHING)

    def run_with(self, inputs: Sequence[Array], parameters: Mapping[str, Any]) -> list[Array]:
        """As `run`, and tells the model these parameters if it wants to be told."""
        named = dict(zip(self.inputs, inputs, strict=False))
        started = time.perf_counter()
        try:
            if parameters and isinstance(self.model, ParameterizedModel):
                outputs = self.model.run_with(named, self.outputs, parameters)
            else:
                outputs = self.model.run(named, self.outputs)
        except DeviceLost as error:
            # the engine starts another process, whose device works
            sys.stderr.write(f"{error}\n")
            os._exit(DEVICE_LOST)
        except Exception as error:  # the edge of the process: frameworks raise what they like
            raise ModelFailed(said(error)) from error
        for name, dtype, output in zip(self.outputs, self._dtypes, outputs, strict=False):
            if output.dtype != dtype:
                raise ModelFailed(f"output '{name}' came as {output.dtype}, expected {dtype}")
        rows = inputs[0].shape[0] if inputs and inputs[0].ndim else 1
        self._cost.observe(rows, time.perf_counter() - started)
        return outputs

    def expected_s(self, rows: int) -> float:
        return math.inf if self._on_device else self._cost.expected_s(rows)

    @property
    def device_bytes(self) -> int:
        """What the model takes of the memory of a device."""
        return self.model.device_bytes if isinstance(self.model, DeviceModel) else 0


class RunQueue:
    """Lives on one thread, which does its errands; its runs take their `turns` with those of other
    versions.
    """

    def __init__(self, runs: ModelRuns, want: wire.Want, turns: Turns, errand: Errand) -> None:
        self.runs = runs
        self._batched = want.batched
        self._max_rows = max(1, want.max_rows)
        self._delay_s = want.delay_s
        self._turns = turns
        self._errand = errand
        self._queue: deque[Job] = deque()
        self._queued_rows = 0
        # when each run that goes on began
        self._running: dict[Future[BatchResult[Job]], float] = {}

    def add(self, asker: Asker, order: wire.Run, inputs: Sequence[Array]) -> None:
        """Queues a batch; a turn is due."""
        key: object = object()
        if self._batched:
            key = tuple((array.dtype, array.shape[1:]) for array in inputs)
        if order.parameters:
            key = ParameterizedRun(self.runs, key, order.parameters)
        job = Job(asker, order, inputs, key)
        if not self._queue:
            self._turns.join(self)
        self._queue.append(job)
        self._queued_rows += job.rows

    @property
    def busy(self) -> bool:
        """Whether anything waits here."""
        return bool(self._queue)

    @property
    def running_s(self) -> float:
        """How long the oldest run has been going on; 0 if there is none."""
        if not self._running:
            return 0.0
        return time.monotonic() - min(self._running.values())

    def start_one(self) -> Turn:
        """See `Waiting`. A run that is expected to be short is over when this returns."""
        if self._running and self._queued_rows < self._max_rows and self._queue:
            left_s = self._queue[0].came + self._delay_s - time.monotonic()
            if left_s > 0:
                return Turn(False, left_s)
        if not self._turns.free and self._expected_s() > INLINE_LIMIT_S:
            return Turn(False, None)
        batch, rows = self._take()
        if batch:
            self._start(batch, rows)
        return Turn(bool(batch), 0.0 if self._queue else None)

    def close(self) -> None:
        """Nothing more is run."""
        self._queue.clear()
        self._queued_rows = 0

    def _expected_s(self) -> float:
        """Of the next run, with as many rows as it may have."""
        first = self._queue[0].rows if self._queue else 0
        return self.runs.expected_s(max(first, min(self._queued_rows, self._max_rows)))

    def _start(self, batch: list[Job], rows: int) -> None:
        for job in batch:
            job.asker.begins(job.order.id)
        if self.runs.expected_s(rows) <= INLINE_LIMIT_S or not self._turns.free:
            self._answer(run_batch(self.runs, batch))
            return
        run = self._turns.threads.submit(run_batch, self.runs, batch)
        self._turns.free -= 1
        self._running[run] = time.monotonic()
        run.add_done_callback(lambda _: self._errand(self._collect))

    def _collect(self) -> None:
        """Answers what ran on other threads."""
        for run in [run for run in self._running if run.done()]:
            del self._running[run]
            self._turns.free += 1
            self._answer(run.result())

    def _take(self) -> tuple[list[Job], int]:
        batch: list[Job] = []
        rows = 0
        now = time.monotonic()
        while self._queue:
            job = self._queue[0]
            if batch and (rows + job.rows > self._max_rows or job.key != batch[0].key):
                break
            self._queue.popleft()
            self._queued_rows -= job.rows
            if 0 < job.order.deadline <= now:
                job.asker.answer(job.order, ModelFailed("nobody waits for this any more"))
                continue
            batch.append(job)
            rows += job.rows
        return batch, rows

    def _answer(self, result: BatchResult[Job]) -> None:
        for job, outcome in result.outcomes:
            job.asker.answer(job.order, outcome)


def said(error: Exception) -> str:
    """What a failure says to the engine."""
    if isinstance(error, AuguriumError):
        return str(error)[:MESSAGE_CHARACTERS]
    return f"the model failed: {type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
