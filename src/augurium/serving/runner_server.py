"""The loop of a runner: engines come and go, and versions with them."""

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_conversation import Attendant, Conversation
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter
from augurium.serving.runner_held import HeldModel
from augurium.serving.runner_memory import SharedMemory
from augurium.serving.runner_queue import ModelRuns

if TYPE_CHECKING:
    from augurium.serving.runner import RunnerOrder

MOST_RUNS = max(2, min(8, os.cpu_count() or 1))


class Visitor:
    """A connection that has not said yet what it wants."""

    __slots__ = ("connection", "frames", "kind", "memory", "reader")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reader = FrameReader(connection)
        self.kind = b""
        # an engine that asks for many runs does not wait for a greeting
        self.frames: list[Frame] = []
        self.memory: SharedMemory | None = None

    def introduce(self) -> None:
        """Reads what the connection is for. Raises OSError and ValueError."""
        self.kind, descriptors, _, _ = socket.recv_fds(self.connection, 1, 1)
        if not self.kind:
            raise ConnectionResetError("the other side closed the connection")
        if descriptors:
            self.memory = SharedMemory(descriptors[0])


class RunnerServer:
    """Everything happens on the thread that serves, but runs that are not short, and streams."""

    def __init__(self, listener: socket.socket, order: "RunnerOrder") -> None:
        self._listener = listener
        self._order = order
        self._selector = selectors.DefaultSelector()
        self._models: dict[str, HeldModel] = {}
        self._visitors = 0
        # what other threads ask this one to do
        self._errands: deque[Callable[[], None]] = deque()
        self._wake_up, self._woken = socket.socketpair()
        self._wake_up.setblocking(False)
        self._woken.setblocking(False)
        # when there is nothing to wait for
        self._until = time.monotonic() + order.idle_s

    def serve(self) -> None:
        """Returns when no engine needs any version any more."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._run_errands)
        while True:
            patience_s = self._start_runs()
            if patience_s is None:
                patience_s = self._let_go()
                if patience_s == 0.0 and not self._accept():
                    return
            for key, events in self._selector.select(patience_s):
                if isinstance(key.data, Conversation):
                    self._converse(key.data, events)
                else:
                    key.data()

    def _start_runs(self) -> float | None:
        soonest: float | None = None
        for held in self._models.values():
            if held.queue is not None and held.queue.busy:
                left_s = held.queue.start_due()
                if left_s is not None and (soonest is None or left_s < soonest):
                    soonest = left_s
        return soonest

    def _let_go(self) -> float | None:
        """Unloads what nobody needs; in how many seconds to look again, 0 to end."""
        now = time.monotonic()
        soonest: float | None = None
        for held in [held for held in self._models.values() if not held.guests]:
            if held.unneeded_at <= now:
                del self._models[held.key]
                held.unload(last=not self._models)
                self._until = now
            elif soonest is None or held.unneeded_at - now < soonest:
                soonest = held.unneeded_at - now
        if self._models or self._visitors:
            return soonest
        return max(0.0, self._until - now)

    def _accept(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.setblocking(False)
        visitor = Visitor(connection)
        self._visitors += 1
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._hear(visitor))
        return True

    def _hear(self, visitor: Visitor) -> None:
        try:
            if not visitor.kind:
                visitor.introduce()
            frames = visitor.reader.read()
            if not frames:
                return
            want, visitor.frames = frames[0].message, frames[1:]
            if not isinstance(want, wire.Want):
                raise wire.WireError("no word of a version")
        except BlockingIOError:
            return
        except (OSError, ValueError, wire.WireError):
            self._selector.unregister(visitor.connection)
            visitor.connection.close()
            self._visitors -= 1
            return
        self._selector.unregister(visitor.connection)
        self._visitors -= 1
        self._want(visitor, want)

    def _want(self, visitor: Visitor, want: wire.Want) -> None:
        held = self._models.get(want.key)
        if held is None:
            held = self._models[want.key] = HeldModel(want, MOST_RUNS, self._errand)
            self._load(held)
        held.came()
        if held.problem:
            self._refuse(held, visitor)
        else:
            self._welcome(held, visitor)

    def _load(self, held: HeldModel) -> None:
        # on the first thread, as some packages want it, and ended by the kernel if need be
        signal.setitimer(signal.ITIMER_REAL, self._order.load_timeout_s)
        held.load()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _refuse(self, held: HeldModel, visitor: Visitor) -> None:
        """Tells why the version did not load; who comes next may try again."""
        with contextlib.suppress(OSError):
            FrameWriter(visitor.connection).write(wire.Hello(held.problem))
        visitor.connection.close()
        held.left(dismissed=True, idle_s=0.0)

    def _welcome(self, held: HeldModel, visitor: Visitor) -> None:
        runs = held.runs
        if runs is None or held.queue is None:
            return
        if visitor.kind != wire.MANY:
            threading.Thread(
                target=self._attend, args=(held, runs, visitor.connection), daemon=True
            ).start()
            return
        conversation = Conversation(
            visitor.connection,
            visitor.reader,
            visitor.memory,
            held,
            held.queue,
            self._blocked,
        )
        self._selector.register(visitor.connection, selectors.EVENT_READ, conversation)
        try:
            conversation.greet()
            conversation.take(visitor.frames)
        except (OSError, wire.WireError):
            self._leave(conversation)

    def _attend(self, held: HeldModel, runs: ModelRuns, connection: socket.socket) -> None:
        dismissed = Attendant(Channel(connection), runs, held.want.runtime).attend()
        self._errand(lambda: held.left(dismissed=dismissed, idle_s=self._order.idle_s))

    def _converse(self, conversation: Conversation, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE and conversation.flush():
                self._selector.modify(conversation.connection, selectors.EVENT_READ, conversation)
            if events & selectors.EVENT_READ:
                conversation.read()
        except (OSError, wire.WireError):
            # the engine left, or is none: its connection is all it loses
            self._leave(conversation)

    def _blocked(self, conversation: Conversation) -> None:
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._selector.modify(conversation.connection, both, conversation)

    def _leave(self, conversation: Conversation) -> None:
        conversation.open = False
        self._selector.unregister(conversation.connection)
        conversation.connection.close()
        conversation.held.left(dismissed=False, idle_s=self._order.idle_s)

    def _errand(self, errand: Callable[[], None]) -> None:
        """Has this loop do something; on any thread."""
        self._errands.append(errand)
        with contextlib.suppress(BlockingIOError):
            self._wake_up.send(b".")

    def _run_errands(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._errands:
            self._errands.popleft()()
