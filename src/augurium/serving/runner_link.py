"""The way of an engine's event loop to a runner: many runs under way on one connection, no thread
between, large tensors in shared memory.

Whatever a runner writes is checked before it is used. A runner that hangs or writes junk is ended;
what it had begun fails, and what it had not begun waits for the next one.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.executor import RunLost
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter
from augurium.serving.runner_memory import SHARED_BYTES, Places, SharedMemory

TICK_S = 0.25
# from this silence on it is looked whether the process does anything
SUSPICIOUS_S = 0.5
STANDSTILL = (
    "the model waits for something and keeps Python's lock, so that its runner does nothing; it was"
    " stopped and is started again"
)
NOT_THERE = "its runner is not there yet; try again later"

Done = Callable[[list[Array] | Exception], None]
Check = Callable[[Sequence[Array], list[Array]], None]
# takes a run to another runner of the same version; whether there is one
HandOn = Callable[[Sequence[Array], Mapping[str, Any], float, Done], bool]


class Runner(Protocol):
    """The runner as a link sees it: there or not, and why not."""

    @property
    def there(self) -> bool: ...

    @property
    def problem(self) -> str:
        """Why nobody should wait for it; empty if it comes soon."""
        ...

    def open(self) -> tuple[socket.socket, SharedMemory | None] | None:
        """A connection for many runs; None when nobody listens."""
        ...

    def stands_still(self, connection: socket.socket, silent_since: float) -> bool:
        """Whether the process at the other side of a connection can say nothing, and does nothing;
        asked at each look while it is silent.
        """
        ...

    def end(self, connection: socket.socket, cause: str) -> None:
        """Ends the process at the other side of a connection."""
        ...

    def suspect(self) -> None:
        """It ended with runs that it had begun."""
        ...


class _Ask:
    """One run that was asked for; `due` is when waiting for a runner ends."""

    __slots__ = ("deadline", "done", "due", "inputs", "parameters", "place", "room", "sent")

    def __init__(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, Any],
        deadline: float,
        due: float,
        done: Done,
    ) -> None:
        self.inputs = inputs
        self.parameters = parameters
        self.deadline = deadline
        self.due = due
        self.done = done
        self.sent = 0.0
        self.place: int | None = None
        self.room = 0


class RunnerLink:
    """Lives on one event loop; every method is called there.

    `run_timeout_s` is how long one run may take, `liveness_s` how long the runner may say nothing
    while one is under way.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runner: Runner,
        check: Check,
        run_timeout_s: float,
        liveness_s: float,
    ) -> None:
        self._loop = loop
        self._runner = runner
        self._check = check
        self._run_timeout_s = run_timeout_s
        self._liveness_s = min(liveness_s, run_timeout_s)
        self._waiting: deque[_Ask] = deque()
        self._under_way: dict[int, _Ask] = {}
        self._connection: socket.socket | None = None
        self._memory: SharedMemory | None = None
        self._places = Places(0)
        self._tick: asyncio.TimerHandle | None = None
        self._last_id = 0
        self._heard = 0.0
        self._row_bytes = 0.0
        self._writing = False
        self._closed = False
        # asks it of another runner of the version, if one is there
        self.hand_on: HandOn | None = None

    @property
    def under_way(self) -> int:
        """Runs that were asked for and are not done."""
        return len(self._under_way) + len(self._waiting)

    def begin(
        self, inputs: Sequence[Array], parameters: Mapping[str, Any], deadline: float, done: Done
    ) -> None:
        """See `AsyncExecutor.begin`."""
        now = time.monotonic()
        ask = _Ask(inputs, parameters, deadline, min(deadline, now + self._run_timeout_s), done)
        if self._connection is not None or self._connect():
            self._send(ask, now)
        elif self._closed or self._runner.problem:
            self._fail(ask, ModelFailed(self._runner.problem or "the version is being unloaded"))
        else:
            self._waiting.append(ask)
        if self._tick is None:
            self._tick = self._loop.call_later(TICK_S, self._look)

    def news(self) -> None:
        """The runner has come or gone."""
        if self._runner.there:
            self._send_waiting()
            return
        self._hand_on_waiting()
        if self._runner.problem:
            while self._waiting:
                self._fail(self._waiting.popleft(), ModelFailed(self._runner.problem))

    def close(self) -> None:
        """Nothing may be asked any more."""
        self._closed = True
        self._disconnect()
        error = ModelFailed("the version is being unloaded")
        for ask in [*self._under_way.values(), *self._waiting]:
            self._fail(ask, error)
        self._under_way.clear()
        self._waiting.clear()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def abandon(self) -> None:
        """The event loop has ended without `close`."""
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> bool:
        if self._closed or not self._runner.there:
            return False
        found = self._runner.open()
        if found is None:
            return False
        connection, memory = found
        self._connection, self._memory = connection, memory
        self._places = Places(memory.size if memory else 0)
        self._reader, self._writer = FrameReader(connection), FrameWriter(connection)
        self._last_id = 0
        self._loop.add_reader(connection, self._readable)
        return True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._loop.remove_reader(connection)
        if self._writing:
            self._loop.remove_writer(connection)
            self._writing = False
        connection.close()
        self._memory = None

    def _send_waiting(self) -> None:
        now = time.monotonic()
        while self._waiting and (self._connection is not None or self._connect()):
            self._send(self._waiting.popleft(), now)

    def _send(self, ask: _Ask, now: float) -> None:
        try:
            headers, parts = wire.packed(ask.inputs)
        except InvalidArgument as error:
            self._fail(ask, error)
            return
        self._last_id += 1
        ask.sent = now
        self._under_way[self._last_id] = ask
        shared = self._reserve(ask, headers)
        run = wire.Run(
            self._last_id,
            headers,
            parameters=ask.parameters,
            deadline=ask.deadline,
            place=ask.place or 0,
            room=ask.room if ask.place is not None else 0,
            shared=shared,
        )
        if shared and self._memory is not None and ask.place is not None:
            self._memory.write(ask.place, parts)
            parts = []
        try:
            gone = self._writer.write(run, parts)
        except InvalidArgument as error:
            self._release(self._under_way.pop(self._last_id))
            self._fail(ask, error)
            return
        except OSError:
            self._lost()
            return
        self._written(gone)

    def _written(self, gone: bool) -> None:
        if not gone and not self._writing and self._connection is not None:
            self._writing = True
            self._loop.add_writer(self._connection, self._writable)

    def _reserve(self, ask: _Ask, headers: Sequence[wire.TensorHeader]) -> bool:
        """Finds a place for what is large, tensors or the answer; whether it is for tensors."""
        if self._memory is None:
            return False
        size = wire.payload_bytes(headers)
        rows = ask.inputs[0].shape[0] if ask.inputs and ask.inputs[0].ndim else 1
        room = max(size, int(self._row_bytes * rows) + 4 * wire.ALIGNMENT)
        if room < SHARED_BYTES:
            return False
        ask.room = room
        ask.place = self._places.take(room)
        return ask.place is not None and size >= SHARED_BYTES

    def _release(self, ask: _Ask) -> None:
        if ask.place is not None:
            self._places.give_back(ask.place, ask.room)
            ask.place = None

    def _writable(self) -> None:
        try:
            gone = self._writer.flush()
        except OSError:
            self._lost()
            return
        if gone and self._connection is not None:
            self._writing = False
            self._loop.remove_writer(self._connection)

    def _readable(self) -> None:
        connection = self._connection
        try:
            frames = self._reader.read()
            self._heard = time.monotonic()
            for frame in frames:
                if self._connection is not connection:
                    return
                self._take(frame)
        except BlockingIOError:
            return
        except wire.WireError as error:
            self._end("wire", f"its runner answered with {error}; it is started again")
        except OSError:
            self._lost()

    def _take(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, wire.Ran | wire.Failed):
            ask = self._under_way.pop(message.id, None)
            if ask is None:
                raise wire.WireError("an answer to another question")
            if isinstance(message, wire.Ran):
                self._give(ask, message, frame)
            else:
                self._release(ask)
                ask.done(ModelFailed(message.message))
        elif isinstance(message, wire.Pong):
            if message.running_s > self._run_timeout_s:
                self._end_hanging()
        elif isinstance(message, wire.Hello):
            if message.problem:
                # whoever keeps the runner hears it too
                self._lost()
        else:
            raise wire.WireError("a word that is none of a runner's")

    def _give(self, ask: _Ask, message: wire.Ran, frame: Frame) -> None:
        try:
            outputs = self._outputs(ask, message, frame)
        except wire.WireError:
            ask.done(RunLost("its runner answered with junk; it is started again"))
            raise
        finally:
            self._release(ask)
        try:
            self._check(ask.inputs, outputs)
        except ModelFailed as error:
            ask.done(error)
            return
        ask.done(outputs)

    def _outputs(self, ask: _Ask, message: wire.Ran, frame: Frame) -> list[Array]:
        size = wire.payload_bytes(message.tensors)
        if size >= SHARED_BYTES:
            rows = ask.inputs[0].shape[0] if ask.inputs and ask.inputs[0].ndim else 1
            self._row_bytes = max(self._row_bytes, size / max(rows, 1))
        if not message.shared:
            return frame.arrays()
        if ask.place is None or self._memory is None or size > ask.room:
            raise wire.WireError("an answer in a place that it was not given")
        # once and for all: the runner could still change what is there
        return wire.unpacked(message.tensors, self._memory.view(ask.place, size).copy())

    def _look(self) -> None:
        """Now and then, while anything waits or is under way."""
        self._tick = None
        now = time.monotonic()
        while self._waiting and self._waiting[0].due <= now:
            self._fail(self._waiting.popleft(), ModelFailed(NOT_THERE))
        if self._waiting:
            self._send_waiting()
        if self._under_way:
            oldest = next(iter(self._under_way.values()))
            silent_since = max(self._heard, oldest.sent)
            if now - silent_since > self._liveness_s:
                self._end_hanging()
            elif self._stands_still(now, silent_since):
                self._end("hang", STANDSTILL)
            elif now - oldest.sent > TICK_S:
                self._ping()
        if (self._waiting or self._under_way) and self._tick is None:
            self._tick = self._loop.call_later(TICK_S, self._look)

    def _stands_still(self, now: float, silent_since: float) -> bool:
        connection = self._connection
        if connection is None or now - silent_since < SUSPICIOUS_S:
            return False
        return self._runner.stands_still(connection, silent_since)

    def _ping(self) -> None:
        try:
            self._written(self._writer.write(wire.Ping()))
        except OSError:
            self._lost()

    def _end_hanging(self) -> None:
        self._end(
            "hang",
            f"the model did not answer within {self._run_timeout_s:g} s; its runner was stopped"
            " and is started again",
        )

    def _end(self, cause: str, reason: str) -> None:
        if self._connection is not None:
            self._runner.end(self._connection, cause)
        self._lost(reason)

    def _lost(self, reason: str = "the model ended its runner, which is started again") -> None:
        """What the runner had begun is lost; what it had not begun goes to the next one."""
        begun = self._memory.started if self._memory is not None else self._last_id
        self._disconnect()
        under_way, self._under_way = self._under_way, {}
        again: list[_Ask] = []
        for number, ask in under_way.items():
            ask.place = None
            if number <= begun:
                self._fail(ask, RunLost(reason))
            else:
                again.append(ask)
        if len(again) < len(under_way):
            self._runner.suspect()
        self._waiting.extendleft(reversed(again))
        self._hand_on_waiting()

    def _hand_on_waiting(self) -> None:
        """What would wait for the next runner goes to another, where there is one."""
        if self.hand_on is None or self._closed:
            return
        while self._waiting:
            ask = self._waiting[0]
            if not self.hand_on(ask.inputs, ask.parameters, ask.deadline, ask.done):
                return
            self._waiting.popleft()

    def _fail(self, ask: _Ask, error: Exception) -> None:
        self._loop.call_soon(ask.done, error)
