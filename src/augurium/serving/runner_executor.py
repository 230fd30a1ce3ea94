"""Runs batches in a runner: another process, so that a crash there costs only what ran there."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import structlog

from augurium.core.errors import ModelFailed
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving import runner_wire as wire
from augurium.serving.executor import RunLost
from augurium.serving.runner_process import RunnerProcess
from augurium.serving.runner_stream import AHEAD, RunnerStream

# as many runs at a time as a batcher starts
THREADS = 2
FAREWELL_S = 1.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
# while its runner rests for longer than this, a version fails at once instead of letting wait
PATIENCE_S = 1.0
HEALTHY_AFTER_S = 10.0
NOTHING: Mapping[str, wire.Parameter] = {}

log = structlog.get_logger()


class RunnerExecutor:
    """One version in its runner. Keeps the runner running until `close`.

    `threads` are for its runs alone: a version that hangs takes no thread from its neighbours.
    `restarts` counts how often it was this engine that started its runner again. A run that takes
    longer than `run_timeout_s` costs the runner its life; so does a step of a stream. A streamed
    version has a thread for each stream there may be.
    """

    def __init__(
        self,
        process: RunnerProcess,
        signature: Signature,
        run_timeout_s: float,
        max_streams: int = 0,
    ) -> None:
        """Returns when the version has loaded. Blocking. Raises ModelFailed if it does not."""
        self.threads = ThreadPoolExecutor(max_streams or THREADS, "augurium-runner")
        self.max_streams = max_streams
        self._process = process
        self._signature = signature
        self._run_timeout_s = run_timeout_s
        self._changed = threading.Condition()
        self._closed = False
        self._problem = ""
        self._idle: list[wire.Channel] = []
        self._busy: set[wire.Channel] = set()
        # counts the runner's comings and goings; odd while it is there
        self._generation = 0
        self._last_id = 0
        self._lifeline = process.connect()
        self._came(self._lifeline)
        self._first_starts = process.starts
        threading.Thread(target=self._keep, args=(self._lifeline,), daemon=True).start()

    @property
    def restarts(self) -> int:
        return self._process.starts - self._first_starts

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return self.run_with(inputs, NOTHING)

    def run_with(
        self, inputs: Sequence[Array], parameters: Mapping[str, wire.Parameter]
    ) -> list[Array]:
        """As `run`, and tells the model these parameters."""
        headers, parts = wire.packed(inputs)
        deadline = time.monotonic() + self._run_timeout_s
        channel, generation = self._borrow(deadline)
        sound = False
        try:
            run = wire.Run(self._next_id(), headers, parameters=parameters)
            answer, outputs = _ask(channel, run, parts, deadline)
            sound = True
        except TimeoutError:
            channel.kill_peer()
            raise RunLost(
                f"the model did not answer within {self._run_timeout_s:g} s; its runner was stopped"
                " and is started again"
            ) from None
        except wire.WireError as error:
            channel.kill_peer()
            raise RunLost(f"its runner answered with {error}; it is started again") from error
        except OSError as error:
            raise RunLost("the model ended its runner, which is started again") from error
        finally:
            self._give_back(channel, generation, sound)
        if isinstance(answer, wire.Failed):
            raise ModelFailed(answer.message)
        self._check(inputs, outputs)
        return outputs

    def open_stream(
        self, inputs: Sequence[Array], parameters: Mapping[str, wire.Parameter]
    ) -> RunnerStream:
        """Asks for a stream of answers, on a connection of its own. Blocking. Raises ModelFailed
        when there is no runner.
        """
        headers, parts = wire.packed(inputs)
        deadline = time.monotonic() + self._run_timeout_s
        channel, generation = self._borrow(deadline)
        run_id = self._next_id()
        try:
            channel.send(wire.Run(run_id, headers, AHEAD, parameters), parts, deadline)
        except OSError as error:
            self._give_back(channel, generation, sound=False)
            raise RunLost("the model ended its runner, which is started again") from error
        return RunnerStream(
            channel,
            run_id,
            self._run_timeout_s,
            partial(self._check, inputs),
            partial(self._give_back, channel, generation),
        )

    def expected_s(self, rows: int) -> float:
        """Never short: the loop must not wait for another process."""
        return float("inf")

    def close(self) -> None:
        """Lets go of the runner, which ends when no other engine needs it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            idle, self._idle = self._idle, []
            lifeline = self._lifeline
            for channel in self._busy:
                channel.shut_down()
        for channel in idle:
            channel.close()
        with suppress(OSError):
            lifeline.send(wire.Goodbye(), (), time.monotonic() + FAREWELL_S)
        lifeline.shut_down()
        self.threads.shutdown(wait=False)

    def _next_id(self) -> int:
        with self._changed:
            self._last_id += 1
            return self._last_id

    def _borrow(self, deadline: float) -> tuple[wire.Channel, int]:
        """A connection to the runner that is there or comes next, and its generation."""
        while True:
            with self._changed:
                self._wait_until_there(deadline)
                generation = self._generation
                channel = self._idle.pop() if self._idle else None
            if channel is None:
                channel = self._process.reconnect(deadline)
            if channel is None:
                self._wait_for_news(generation, deadline)
            elif channel.silent:
                with self._changed:
                    self._busy.add(channel)
                return channel, generation
            else:
                channel.close()

    def _wait_for_news(self, generation: int, deadline: float) -> None:
        """The runner has gone; the keeper is about to notice."""
        remaining_s = max(0.0, deadline - time.monotonic())
        with self._changed:
            self._changed.wait_for(
                lambda: generation != self._generation or self._closed, remaining_s
            )

    def _wait_until_there(self, deadline: float) -> None:
        while True:
            remaining_s = deadline - time.monotonic()
            if self._closed:
                raise ModelFailed("the version is being unloaded")
            if remaining_s <= 0:
                raise ModelFailed("its runner is not there yet; try again later")
            if self._generation % 2:
                return
            if self._problem:
                raise ModelFailed(self._problem)
            self._changed.wait(remaining_s)

    def _give_back(self, channel: wire.Channel, generation: int, sound: bool) -> None:
        with self._changed:
            self._busy.discard(channel)
            if sound and generation == self._generation and not self._closed:
                self._idle.append(channel)
                return
        channel.close()

    def _check(self, inputs: Sequence[Array], outputs: list[Array]) -> None:
        """What another process says is looked at before it is passed on."""
        specs = self._signature.outputs
        if len(outputs) != len(specs):
            raise ModelFailed(f"the model gave {len(outputs)} outputs, expected {len(specs)}")
        rows = inputs[0].shape[0] if self._signature.batched and inputs else None
        for spec, output in zip(specs, outputs, strict=True):
            _check_output(spec, output, rows)

    def _came(self, lifeline: wire.Channel) -> None:
        with self._changed:
            self._lifeline = lifeline
            self._problem = ""
            self._generation += 1
            self._changed.notify_all()

    def _went(self, problem: str) -> None:
        with self._changed:
            idle, self._idle = self._idle, []
            self._problem = problem
            self._generation += self._generation % 2
            self._changed.notify_all()
        for channel in idle:
            channel.close()

    def _keep(self, lifeline: wire.Channel) -> None:
        """Waits for the end of the runner and starts the next one, with pauses that grow."""
        pause_s = 0.0
        while True:
            came = time.monotonic()
            with suppress(OSError, wire.WireError):
                lifeline.receive()
            lifeline.close()
            if self._closed:
                return
            lived_s = time.monotonic() - came
            pause_s = 0.0 if lived_s > HEALTHY_AFTER_S else _longer(pause_s)
            found = self._next(pause_s)
            if found is None:
                return
            lifeline, pause_s = found

    def _next(self, pause_s: float) -> tuple[wire.Channel, float] | None:
        """The lifeline of the next runner, and the pause that came before; None when closed."""
        problem = "the model ended its runner several times" if pause_s > PATIENCE_S else ""
        while True:
            self._went(f"{problem}; it is started again in {pause_s:g} s" if problem else "")
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, pause_s):
                    return None
            try:
                lifeline = self._process.connect()
            except ModelFailed as error:
                problem = str(error)
                log.error("runner not started", runner=self._process.name, reason=problem)
                pause_s = _longer(pause_s)
                continue
            self._came(lifeline)
            if self._closed:
                lifeline.close()
                return None
            return lifeline, pause_s


def _ask(
    channel: wire.Channel, run: wire.Run, parts: Sequence[bytes | memoryview], deadline: float
) -> tuple[wire.Ran | wire.Failed, list[Array]]:
    channel.send(run, parts, deadline)
    answer, outputs = channel.receive(deadline)
    if not isinstance(answer, wire.Ran | wire.Failed) or answer.id != run.id:
        raise wire.WireError("an answer to another question")
    return answer, outputs


def _longer(pause_s: float) -> float:
    return min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * pause_s))


def _check_output(spec: TensorSpec, output: Array, rows: int | None) -> None:
    if output.dtype != spec.dtype:
        raise ModelFailed(f"output '{spec.name}' came as {output.dtype}, expected {spec.dtype}")
    if rows is not None and output.shape[:1] != (rows,):
        raise ModelFailed(
            f"output '{spec.name}' has shape {list(output.shape)} for {rows} rows of input"
        )
