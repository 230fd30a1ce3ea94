"""Runs batches: at once on the event loop when that is short, on a thread when it is not, or in
another process.

ONNX Runtime releases the interpreter lock, so a thread leaves the loop free; but handing a batch
over costs about as much as a short run, so runs that are expected to stay below `INLINE_LIMIT_S`
are not handed over.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor as ThreadPool
from typing import Any, Protocol, runtime_checkable

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.runtime import InterruptibleModel, LoadedModel

INLINE_LIMIT_S = 0.001
SMOOTHING = 0.2


class Executor(Protocol):
    """Runs one batch of one version."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One model run; `inputs` in the signature's order, answers likewise. Blocking.

        Raises ModelFailed when the model does.
        """
        ...

    def expected_s(self, rows: int) -> float:
        """How long a run of `rows` rows will take, from what earlier ones took."""
        ...


class Recorder(Protocol):
    """Keeps a few rows of what ran."""

    def ran(self, inputs: Sequence[Array], outputs: Sequence[Array], now: float) -> float:
        """Takes a run that went well; when to show the next one, in the seconds of `now`."""
        ...


@runtime_checkable
class AsyncExecutor(Executor, Protocol):
    """An executor that need not be waited for: it tells the event loop when a batch is done.

    It is given up to `runs_ahead` batches before one of them is done, without waiting for more
    rows.
    """

    @property
    def runs_ahead(self) -> int: ...

    def begin(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, Any],
        deadline: float,
        done: Callable[[list[Array] | Exception], None],
    ) -> None:
        """Begins a model run, on an event loop, where `done` is called with what `run` gives or
        raises: later, once, whatever happens. `deadline` is when nobody waits for it any more, in
        seconds of the monotonic clock.
        """
        ...


@runtime_checkable
class Recording(Protocol):
    """An executor that may show its runs to a recorder."""

    def run_unrecorded(self, inputs: Sequence[Array]) -> list[Array]:
        """As `run`, and shows it to nobody."""
        ...


class VersionExecutor(Executor, Protocol):
    """What a loaded version brings along. `threads` are its own for its runs, None to share those
    of the engine; `restarts` counts how often it had to be started again.
    """

    @property
    def threads(self) -> ThreadPool | None: ...

    @property
    def restarts(self) -> int: ...

    def close(self) -> None:
        """Frees what the version holds. No run may come after it."""
        ...


@runtime_checkable
class ExitCounter(Protocol):
    """An executor whose process may end."""

    def count_exits_in(self, exits: dict[str, int]) -> None:
        """Counts there from now on, by cause, the ends after which it started another process."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """An executor with any number of processes, which may change while it runs."""

    @property
    def pids(self) -> list[int]:
        """The processes that are there and take runs."""
        ...

    def set_replicas(self, number: int) -> None:
        """Begins to bring it to so many, at least 1; on the event loop."""
        ...


class AnswerStream(Protocol):
    """Answers to one batch, as they come. `take` and `finish` block and are called on threads."""

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        ...

    def take(self) -> list[list[Array]]:
        """The next answers, none at the end; each as `Executor.run` gives it.

        Raises ModelFailed when the model does.
        """
        ...

    def stop(self) -> None:
        """Says that nobody waits for answers any more; at once, on any thread."""
        ...

    def finish(self) -> None:
        """Returns when what was told to stop has ended."""
        ...


@runtime_checkable
class StreamExecutor(VersionExecutor, Protocol):
    """An executor whose version gives several answers to one batch, `max_streams` at a time."""

    @property
    def max_streams(self) -> int: ...

    def open_stream(self, inputs: Sequence[Array], parameters: Mapping[str, Any]) -> AnswerStream:
        """Begins to answer one batch. Blocking. Raises ModelFailed when it cannot."""
        ...


class RunLost(ModelFailed):
    """What ran the batch ended with it; the same rows may do it again, so they are not repeated."""


class CostModel:
    """Seconds per run by number of rows: a moving average per power of two.

    A size not seen yet is estimated from the nearest smaller one, growing linearly: too long rather
    than too short, so that an unknown large batch goes to a thread first.
    """

    def __init__(self) -> None:
        self._seconds: list[float | None] = [None] * 32

    def observe(self, rows: int, seconds: float) -> None:
        bucket = rows.bit_length()
        known = self._seconds[bucket]
        self._seconds[bucket] = seconds if known is None else known + SMOOTHING * (seconds - known)

    def expected_s(self, rows: int) -> float:
        """Infinite before the first observation."""
        bucket = rows.bit_length()
        for smaller in range(bucket, -1, -1):
            seconds = self._seconds[smaller]
            if seconds is not None:
                return seconds * (1 << (bucket - smaller))
        return float("inf")

    def known_s(self, rows: int) -> float:
        """The least that so many rows can take: what so many took, or the next fewer that were
        seen; 0.0 where none were.
        """
        for bucket in range(rows.bit_length(), -1, -1):
            seconds = self._seconds[bucket]
            if seconds is not None:
                return seconds
        return 0.0

    def shortest_s(self) -> float:
        """What the fewest rows took that were seen; 0.0 before the first observation."""
        return next((seconds for seconds in self._seconds if seconds is not None), 0.0)


class LocalExecutor:
    """A model in this process."""

    threads: ThreadPool | None = None
    restarts = 0

    def __init__(
        self, model: LoadedModel, input_names: Sequence[str], output_names: Sequence[str]
    ) -> None:
        self._model = model
        self._input_names = tuple(input_names)
        self._output_names = tuple(output_names)
        self._cost = CostModel()
        self.interrupted = False
        self._recorder: Recorder | None = None
        # when the next run is to be recorded, in seconds of `perf_counter`
        self._record_at = math.inf

    def record(self, recorder: Recorder) -> None:
        """Shows it a run now and then from now on."""
        self._recorder, self._record_at = recorder, 0.0

    def interrupt(self) -> None:
        """Ends the runs in progress, and all to come, where the model can; on any thread."""
        if isinstance(self._model, InterruptibleModel):
            self.interrupted = True
            self._model.interrupt()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        outputs, ended = self._ran(inputs)
        if ended >= self._record_at and self._recorder is not None:
            self._record_at = self._recorder.ran(inputs, outputs, ended)
        return outputs

    def run_unrecorded(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Recording`."""
        return self._ran(inputs)[0]

    def _ran(self, inputs: Sequence[Array]) -> tuple[list[Array], float]:
        """The outputs, and when they were there."""
        started = time.perf_counter()
        outputs = self._model.run(
            dict(zip(self._input_names, inputs, strict=True)), self._output_names
        )
        rows = inputs[0].shape[0] if inputs and inputs[0].ndim else 1
        ended = time.perf_counter()
        self._cost.observe(rows, ended - started)
        return outputs, ended

    def expected_s(self, rows: int) -> float:
        return self._cost.expected_s(rows)

    def close(self) -> None:
        """Nothing: the model is freed with its last reference, which a run may still hold."""
