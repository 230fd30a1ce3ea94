"""What a runner says to an engine: many runs under way, or one run or stream at a time."""

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator

from augurium.core.errors import ModelFailed
from augurium.core.inference import Answer
from augurium.core.tensors import Array
from augurium.runtimes.runtime import StreamingModel
from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter
from augurium.serving.runner_held import HeldModel
from augurium.serving.runner_memory import SHARED_BYTES, SharedMemory
from augurium.serving.runner_queue import ModelRuns, RunQueue, said

ANSWER_TIMEOUT_S = 60.0


class Conversation:
    """Many runs under way. Lives on the thread of the queue it feeds; nothing here waits.

    `blocked` is called when answers have to wait until the engine reads.
    """

    def __init__(
        self,
        connection: socket.socket,
        reader: FrameReader,
        memory: SharedMemory | None,
        held: HeldModel,
        queue: RunQueue,
        blocked: Callable[["Conversation"], None],
    ) -> None:
        self.connection = connection
        self._reader = reader
        self._writer = FrameWriter(connection)
        self._memory = memory
        self.held = held
        self._queue = queue
        # a function may keep what it was given
        self._own_inputs = held.want.runtime == "python"
        self._blocked = blocked
        self.open = True

    def greet(self, hello: wire.Hello) -> None:
        """Raises ConnectionError."""
        self._write(hello)

    def read(self) -> None:
        """Takes what has come. Raises ConnectionError and WireError."""
        try:
            frames = self._reader.read()
        except BlockingIOError:
            return
        self.take(frames)

    def take(self, frames: list[Frame]) -> None:
        """Queues runs, and answers other words. Raises ConnectionError and WireError."""
        for frame in frames:
            message = frame.message
            if isinstance(message, wire.Run):
                self._queue.add(self, message, self._inputs(message, frame))
            elif isinstance(message, wire.Ping):
                self._write(wire.Pong(self._queue.running_s))
            else:
                raise wire.WireError("a word that is none while runs are under way")

    def flush(self) -> bool:
        """Writes what waits; whether all of it is gone. Raises ConnectionError."""
        return self._writer.flush()

    def begins(self, run: int) -> None:
        """Tells the engine which runs are lost if this process ends now."""
        if self._memory is not None:
            self._memory.started = run

    def answer(self, order: wire.Run, outcome: Answer | Exception) -> None:
        """Says what became of a run, if the engine is still there."""
        if not self.open:
            return
        with contextlib.suppress(OSError):
            if isinstance(outcome, Exception):
                self._write(wire.Failed(order.id, said(outcome)))
                return
            try:
                arrays = [outcome.array(index) for index in range(outcome.size)]
                headers, parts = wire.packed(arrays)
            except Exception as error:  # whatever the model gave instead of arrays
                self._write(wire.Failed(order.id, said(error)))
                return
            size = wire.payload_bytes(headers)
            if self._memory is not None and SHARED_BYTES <= size <= order.room:
                # an output may be an input, whose place this is
                if any(self._memory.holds(array) for array in arrays):
                    parts = [bytes(part) for part in parts]
                self._memory.write(order.place, parts)
                self._write(wire.Ran(order.id, headers, shared=True))
            else:
                self._write(wire.Ran(order.id, headers), parts)

    def _inputs(self, order: wire.Run, frame: Frame) -> list[Array]:
        if not order.shared:
            return frame.arrays()
        if self._memory is None:
            raise wire.WireError("tensors in a memory that is not shared")
        place = self._memory.view(order.place, wire.payload_bytes(order.tensors))
        return wire.unpacked(order.tensors, place.copy() if self._own_inputs else place)

    def _write(self, message: wire.Message, parts: list[bytes | memoryview] | None = None) -> None:
        if not self._writer.write(message, parts or ()):
            self._blocked(self)


class Attendant:
    """One run or stream at a time, on a thread of its own."""

    def __init__(self, channel: Channel, runs: ModelRuns, runtime: str) -> None:
        self._channel = channel
        self._runs = runs
        self._runtime = runtime

    def attend(self, hello: wire.Hello) -> bool:
        """Returns when the engine has left; whether it said goodbye."""
        try:
            self._channel.send(hello, (), time.monotonic() + ANSWER_TIMEOUT_S)
            while True:
                message, arrays = self._channel.receive()
                if isinstance(message, wire.Run):
                    self._run(message, arrays)
                elif isinstance(message, wire.Ping):
                    # says no more than that Python's lock can be had
                    self._channel.send(wire.Pong(0.0), (), time.monotonic() + ANSWER_TIMEOUT_S)
                elif not isinstance(message, wire.More | wire.Stop):
                    # those two may be of a stream that ended on its own meanwhile
                    return isinstance(message, wire.Goodbye)
        except (OSError, wire.WireError):
            # the engine left, or is none: its connection is all it loses
            return False
        finally:
            self._channel.close()

    def _run(self, order: wire.Run, inputs: list[Array]) -> None:
        if order.ahead:
            self._stream(order, inputs)
            return
        answer: wire.Message
        try:
            headers, parts = wire.packed(self._runs.run_with(inputs, order.parameters))
            answer = wire.Ran(order.id, headers)
        except Exception as error:  # the edge of the process: frameworks raise whatever they like
            answer, parts = wire.Failed(order.id, said(error)), []
        self._channel.send(answer, parts, time.monotonic() + ANSWER_TIMEOUT_S)

    def _stream(self, order: wire.Run, inputs: list[Array]) -> None:
        """Sends one answer after another, never more ahead than the engine allows.

        How long the engine lets wait is the engine's affair, which closes the connection.
        """
        end: wire.Message = wire.Ran(order.id)
        model, runs = self._runs.model, self._runs
        try:
            if not isinstance(model, StreamingModel):
                raise ModelFailed(f"runtime '{self._runtime}' gives one answer, not several")
            named = dict(zip(runs.inputs, inputs, strict=False))
            answers = model.stream(
                named, runs.outputs, order.parameters, lambda: self._begins(order)
            )
            with contextlib.closing(answers):
                self._send_answers(order, answers)
        except (OSError, wire.WireError):
            raise
        except Exception as error:  # the edge of the process: frameworks raise whatever they like
            end = wire.Failed(order.id, said(error))
        self._channel.send(end, (), math.inf)

    def _begins(self, order: wire.Run) -> None:
        """Tells the engine that the stream is lost if this process ends now."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        self._channel.send(wire.Begun(order.id), (), deadline)

    def _send_answers(self, order: wire.Run, answers: Iterator[list[Array]]) -> None:
        ahead = order.ahead
        channel = self._channel
        while True:
            while ahead <= 0 or not channel.silent:
                message, _ = channel.receive()
                if isinstance(message, wire.Stop) and message.id == order.id:
                    return
                if not isinstance(message, wire.More | wire.Stop):
                    raise wire.WireError("a word that is none while answers come")
                if message.id == order.id and isinstance(message, wire.More):
                    ahead += message.count
            arrays = next(answers, None)
            if arrays is None:
                return
            headers, parts = wire.packed(arrays)
            channel.send(wire.Ran(order.id, headers, more=True), parts, math.inf)
            ahead -= bool(arrays)
