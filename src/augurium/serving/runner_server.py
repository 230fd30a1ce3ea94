"""The loop of a runner: engines come and go, and versions with them."""

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from augurium.core import processors
from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_conversation import Attendant, Conversation
from augurium.serving.runner_held import HeldModel
from augurium.serving.runner_loads import Loads
from augurium.serving.runner_queue import ModelRuns
from augurium.serving.runner_turns import Turns
from augurium.serving.runner_visitor import Visitor

if TYPE_CHECKING:
    from augurium.serving.runner import RunnerOrder

FEWEST_RUNS, MOST_RUNS = 2, 8


class RunnerServer:
    """Everything happens on the thread that serves, but runs that are not short, streams, and loads
    where versions share the process.
    """

    def __init__(self, listener: socket.socket, order: "RunnerOrder") -> None:
        self._listener = listener
        self._order = order
        self._selector = selectors.DefaultSelector()
        self._models: dict[str, HeldModel] = {}
        # those of them that nobody is here for
        self._unneeded: set[HeldModel] = set()
        self._turns = Turns(_most_runs())
        self._loads = Loads(
            shared=order.shared,
            timeout_s=order.load_timeout_s,
            errand=self._errand,
            begins=self._load_begins,
            done=self._load_done,
        )
        # what this process took before its first version
        self._base_bytes = 0
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
            patience_s = self._turns.start_due()
            if self._unneeded or not self._models:
                left_s = self._let_go()
                if left_s == 0.0 and not self._accept():
                    return
                patience_s = _sooner(patience_s, left_s)
            for key, events in self._selector.select(patience_s):
                if isinstance(key.data, Conversation):
                    self._converse(key.data, events)
                else:
                    key.data()

    def _let_go(self) -> float | None:
        """Unloads what nobody needs; in how many seconds to look again, 0 to end."""
        now = time.monotonic()
        soonest: float | None = None
        for held in list(self._unneeded):
            if held.unneeded_at <= now:
                self._unneeded.discard(held)
                del self._models[held.key]
                held.unload()
                if self._models:
                    self._loads.give_back()
                self._until = now
            else:
                soonest = _sooner(soonest, held.unneeded_at - now)
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
            want = visitor.wanted()
            if want is None:
                return
        except (OSError, ValueError, wire.WireError):
            want = None
        self._selector.unregister(visitor.connection)
        self._visitors -= 1
        if want is None:
            visitor.connection.close()
        else:
            self._want(visitor, want)

    def _want(self, visitor: Visitor, want: wire.Want) -> None:
        held = self._models.get(want.key)
        if held is None:
            if not want.path:
                visitor.connection.close()
                return
            held = HeldModel(want, measured=self._order.shared, threads=self._order.threads)
            self._models[want.key] = held
            self._come(held)
            held.visitors.append(visitor)
            self._loads.add(held)
            return
        self._come(held)
        if held.settled:
            self._receive(held, visitor)
            return
        held.visitors.append(visitor)
        if self._loads.is_loading(held):
            _say_loading(visitor)

    def _load_begins(self, held: HeldModel) -> None:
        for visitor in held.visitors:
            _say_loading(visitor)

    def _load_done(self, held: HeldModel) -> None:
        held.open(self._turns, self._errand)
        if not self._base_bytes:
            self._base_bytes = held.base_bytes
        visitors, held.visitors = held.visitors, []
        for visitor in visitors:
            self._receive(held, visitor)

    def _receive(self, held: HeldModel, visitor: Visitor) -> None:
        if held.problem:
            # who comes next may try again
            visitor.told(wire.Hello(held.problem))
            visitor.connection.close()
            self._left(held, dismissed=True, idle_s=0.0)
        else:
            self._welcome(held, visitor)

    def _come(self, held: HeldModel) -> None:
        held.came()
        self._unneeded.discard(held)

    def _left(self, held: HeldModel, *, dismissed: bool, idle_s: float) -> None:
        held.left(dismissed=dismissed, idle_s=idle_s)
        if not held.guests:
            self._unneeded.add(held)

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
            conversation.greet(self._hello(held))
            conversation.take(visitor.frames)
        except (OSError, wire.WireError):
            self._leave(conversation)

    def _attend(self, held: HeldModel, runs: ModelRuns, connection: socket.socket) -> None:
        hello = self._hello(held)
        dismissed = Attendant(Channel(connection), runs, held.want.runtime).attend(hello)
        self._errand(lambda: self._left(held, dismissed=dismissed, idle_s=self._order.idle_s))

    def _hello(self, held: HeldModel) -> wire.Hello:
        return wire.Hello("", held.memory_bytes, self._base_bytes, held.device_bytes)

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
        self._left(conversation.held, dismissed=False, idle_s=self._order.idle_s)

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


def _most_runs() -> int:
    """As many at a time as there are CPUs for this process."""
    return max(FEWEST_RUNS, min(MOST_RUNS, len(processors.USABLE)))


def _say_loading(visitor: Visitor) -> None:
    # on the others the first word is the greeting
    if visitor.kind != wire.MANY:
        visitor.told(wire.Loading())


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
