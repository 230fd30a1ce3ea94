"""Runs batches in a runner: another process, so that a crash there costs only what ran there."""

import asyncio
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from augurium.core.errors import ModelFailed
from augurium.core.process_memory import process_bytes
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving import runner_wire as wire
from augurium.serving.executor import RunLost
from augurium.serving.memory_budget import Base
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_frames import peer
from augurium.serving.runner_keeper import RunnerKeeper
from augurium.serving.runner_link import Done, HandOn, RunnerLink
from augurium.serving.runner_memory import SharedMemory
from augurium.serving.runner_process import RunnerProcess
from augurium.serving.runner_stream import AHEAD, AskedRunner, RunnerStream
from augurium.serving.standstill import Standstill

# runs one at a time, as warm-up makes them
THREADS = 2
RUNS_AHEAD = 4
NOTHING: Mapping[str, wire.Parameter] = {}


class RunLimits(NamedTuple):
    """What a version in a runner may take: seconds for one run or one step of a stream, seconds
    without a sign of life, streams at a time.
    """

    run_timeout_s: float
    liveness_s: float
    max_streams: int = 0


class RunnerExecutor:
    """One version in its runner. Keeps the runner running until `close`.

    Batches of an event loop go by one connection, without a thread (`begin`); runs that are waited
    for, and streams, have one each, and `threads` of this version alone: one that hangs takes no
    thread from its neighbours. `restarts` counts how often it was this engine that started its
    runner again. Who takes longer than `limits` say costs the runner its life. A streamed version
    has a thread for each stream there may be.
    """

    # as many batches go to a runner before the first is back; what waits there is put together
    runs_ahead = RUNS_AHEAD

    def __init__(
        self,
        process: RunnerProcess,
        signature: Signature,
        limits: RunLimits,
    ) -> None:
        """Returns when the version has loaded. Blocking. Raises ModelFailed if it does not."""
        self.threads = ThreadPoolExecutor(limits.max_streams or THREADS, "augurium-runner")
        self.max_streams = limits.max_streams
        self._process = process
        self._signature = signature
        self._run_timeout_s = limits.run_timeout_s
        self._liveness_s = limits.liveness_s
        self._lock = threading.Lock()
        self._idle: list[Channel] = []
        self._busy: set[Channel] = set()
        self._last_id = 0
        self._link: RunnerLink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._standstill = Standstill()
        self._hand_on: HandOn | None = None
        # a process and the generation in which it was looked up
        self._pid = (0, 0)
        self._keeper = RunnerKeeper(process)
        self._keeper.told = self._told

    @property
    def restarts(self) -> int:
        return self._process.restarts

    @property
    def memory_bytes(self) -> int:
        """What the version takes now: its own process, 0 while there is none, or what it added to
        one that it shares.
        """
        if self._process.shared:
            return self._process.grown_bytes
        return process_bytes(self.pid) if self.pid else 0

    @property
    def pid(self) -> int:
        """The runner's process, 0 while there is none."""
        generation, pid = self._pid
        if generation != self._keeper.generation or not pid:
            generation = self._keeper.generation
            pid = self._process.pid if self.there else 0
            self._pid = (generation, pid)
        return pid

    @property
    def under_way(self) -> int:
        """Runs and streams that were begun and have not ended."""
        link = self._link
        return len(self._busy) + (link.under_way if link is not None else 0)

    def hand_on_to(self, other: HandOn) -> None:
        """Asks there what its runner had not begun when it ended, instead of waiting for the next.

        Before the first run.
        """
        self._hand_on = other

    @property
    def base(self) -> Base | None:
        """See `RunnerProcess`."""
        return self._process.base

    @property
    def device_bytes(self) -> int:
        """What the runner takes of its device now, 0 while there is none. Blocking."""
        return self._process.device_bytes

    def count_exits_in(self, exits: dict[str, int]) -> None:
        """See `ExitCounter`."""
        self._process.exits = exits

    def begin(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, wire.Parameter],
        deadline: float,
        done: Done,
    ) -> None:
        """See `AsyncExecutor.begin`. Always on the same event loop."""
        if self._link is None:
            self._loop = asyncio.get_running_loop()
            self._link = RunnerLink(
                self._loop, self, self._check, self._run_timeout_s, self._liveness_s
            )
            self._link.hand_on = self._hand_on
        self._link.begin(inputs, parameters, deadline, done)

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
            self._process.end(channel, "hang")
            self.suspect()
            raise RunLost(
                f"the model did not answer within {self._run_timeout_s:g} s; its runner was stopped"
                " and is started again"
            ) from None
        except wire.WireError as error:
            self._process.end(channel, "wire")
            raise RunLost(f"its runner answered with {error}; it is started again") from error
        except OSError as error:
            self.suspect()
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

        def ask() -> AskedRunner:
            run = wire.Run(self._next_id(), headers, AHEAD, parameters)
            return self._ask_for_stream(run, parts, deadline)

        return RunnerStream(ask, self._run_timeout_s, partial(self._check, inputs))

    def _ask_for_stream(
        self, run: wire.Run, parts: Sequence[bytes | memoryview], deadline: float
    ) -> AskedRunner:
        """The runner that is there or comes next, asked. Raises ModelFailed."""
        while True:
            channel, generation = self._borrow(deadline)
            try:
                channel.send(run, parts, deadline)
            except TimeoutError as error:
                self._give_back(channel, generation, sound=False)
                raise RunLost("its runner does not listen; try again later") from error
            except OSError:
                # it has not heard all of it, so it cannot have begun
                self._give_back(channel, generation, sound=False)
                continue
            return AskedRunner(
                channel,
                run.id,
                partial(self._give_back, channel, generation),
                partial(self._process.end, channel),
            )

    def expected_s(self, rows: int) -> float:
        """Never short: the loop must not wait for another process."""
        return float("inf")

    def close(self) -> None:
        """Lets go of the runner, which ends when no other engine needs it."""
        self._keeper.told = None
        with self._lock:
            idle, self._idle = self._idle, []
            for channel in self._busy:
                channel.shut_down()
        for channel in idle:
            channel.close()
        self._keeper.close()
        if self._link is not None and self._loop is not None:
            self._close_link(self._link, self._loop)
        self.threads.shutdown(wait=False)

    @property
    def there(self) -> bool:
        """Whether the runner is there."""
        return self._keeper.there

    @property
    def problem(self) -> str:
        """Why nobody should wait for the runner; empty if it comes soon."""
        return self._keeper.problem

    def open(self) -> tuple[socket.socket, SharedMemory | None] | None:
        """A connection for many runs; None when nobody listens."""
        return self._process.open_for_many()

    def suspect(self) -> None:
        """Runs had begun when the runner ended, which may be their doing."""
        # not when this engine lets go of it
        if not self._keeper.closed:
            self._process.suspect()

    def stands_still(self, connection: socket.socket, silent_since: float) -> bool:
        """Whether the process at the other side waits with Python's lock in its hand, so that no
        thread of it can say anything; asked again and again while it is silent.
        """
        now, standstill = time.monotonic(), self._standstill
        with suppress(OSError):
            # who has answered since the first look can say something
            still = standstill.look(peer(connection), max(silent_since, self._keeper.heard), now)
            if not still:
                self._keeper.ping()
            return still
        return False

    def end(self, connection: socket.socket, cause: str) -> None:
        """Ends the process at the other side of a connection."""
        self._process.end_peer(connection, cause)

    @staticmethod
    def _close_link(link: RunnerLink, loop: asyncio.AbstractEventLoop) -> None:
        if asyncio._get_running_loop() is loop:
            link.close()
            return
        try:
            loop.call_soon_threadsafe(link.close)
        except RuntimeError:
            # the loop has ended, and nobody waits any more
            link.abandon()

    def _told(self) -> None:
        if not self._keeper.there:
            with self._lock:
                idle, self._idle = self._idle, []
            for channel in idle:
                channel.close()
        if self._link is not None and self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._link.news)

    def _next_id(self) -> int:
        with self._lock:
            self._last_id += 1
            return self._last_id

    def _borrow(self, deadline: float) -> tuple[Channel, int]:
        """A connection to the runner that is there or comes next, and its generation."""
        while True:
            generation = self._keeper.wait_until_there(deadline)
            with self._lock:
                channel = self._idle.pop() if self._idle else None
            if channel is None:
                channel = self._process.reconnect(deadline)
            if channel is None:
                self._keeper.wait_for_news(generation, deadline)
            elif channel.silent:
                with self._lock:
                    self._busy.add(channel)
                return channel, generation
            else:
                channel.close()

    def _give_back(self, channel: Channel, generation: int, sound: bool) -> None:
        with self._lock:
            self._busy.discard(channel)
            if sound and generation == self._keeper.generation and not self._keeper.closed:
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


def _ask(
    channel: Channel, run: wire.Run, parts: Sequence[bytes | memoryview], deadline: float
) -> tuple[wire.Ran | wire.Failed, list[Array]]:
    channel.send(run, parts, deadline)
    answer, outputs = channel.receive(deadline)
    if not isinstance(answer, wire.Ran | wire.Failed) or answer.id != run.id:
        raise wire.WireError("an answer to another question")
    return answer, outputs


def _check_output(spec: TensorSpec, output: Array, rows: int | None) -> None:
    if output.dtype != spec.dtype:
        raise ModelFailed(f"output '{spec.name}' came as {output.dtype}, expected {spec.dtype}")
    if rows is not None and output.shape[:1] != (rows,):
        raise ModelFailed(
            f"output '{spec.name}' has shape {list(output.shape)} for {rows} rows of input"
        )
