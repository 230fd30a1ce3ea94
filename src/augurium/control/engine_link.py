"""Control's end of the link to one engine: what it was told, what it answered."""

import asyncio
import contextlib
import time

from augurium.serving.counter_reports import updated
from augurium.serving.link import (
    Applied,
    Collect,
    Counters,
    Heard,
    Hello,
    Message,
    Push,
    Told,
    Update,
    send,
)
from augurium.serving.metrics import EngineMetrics
from augurium.serving.snapshot import Snapshot, VersionState, change

READY = "ready"
FAILED = "failed"


class EngineLink:
    """One connected engine: its last report, its counters, and the newest `Collect` it answered.

    `inherited` is what an earlier control had been told of variants already, None until an engine
    that was heard before has said it.

    The outbox holds at most one snapshot and one request for counters, because only the newest of
    each matters, and an answer to each open question; a slow engine costs nothing but its own
    delay.
    """

    def __init__(self, hello: Hello, writer: asyncio.StreamWriter) -> None:
        self.hello = hello
        self.applied = Applied(-1, ())
        self.counters = EngineMetrics()
        self.inherited: EngineMetrics | None = None if hello.heard else EngineMetrics()
        self.counted_at: float | None = None
        self.answered = 0
        self.open = True
        self._writer = writer
        self._snapshot: Snapshot | None = None
        self._told: Snapshot | None = None
        self._request = 0
        self._asked = 0
        self._answers: list[Told] = []
        self._work = asyncio.Event()

    def push(self, snapshot: Snapshot) -> None:
        """Sends the desired state as soon as the engine reads; an unsent older one is dropped."""
        self._snapshot = snapshot
        self._work.set()

    def collect(self, request: int) -> None:
        """Asks for fresh counters."""
        self._request = request
        self._work.set()

    def tell(self, told: Told) -> None:
        """Answers a question of the engine."""
        self._answers.append(told)
        self._work.set()

    async def send_all(self) -> None:
        """Sends what the outbox holds until the engine is gone or the task is cancelled."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._work.wait()
                self._work.clear()
                for message in self._take():
                    send(self._writer, message)
                    await self._writer.drain()

    def take(self, message: Message) -> bool:
        """Notes an answer of the engine; False if an engine must not send such a message."""
        match message:
            case Applied():
                self.applied = message
            case Heard():
                # who has heard it is this control, where it knows the engine
                if self.inherited is None:
                    self.inherited = message.metrics
            case Counters():
                self.counters = updated(self.counters, message.metrics)
                self.counted_at = time.monotonic()
                self.answered = max(self.answered, message.request)
            case _:
                return False
        return True

    def state_of(self, model: str, version: int, revision: int) -> VersionState | None:
        """Where the engine stands with a version; None until it reported on `revision` or later."""
        if self.applied.revision < revision:
            return None
        for state in self.applied.states:
            if state.model == model and state.version == version:
                return state
        return None

    def has_applied(self, snapshot: Snapshot) -> bool:
        """Whether the engine has this snapshot or a newer one and loads nothing any more."""
        return self.applied.revision >= snapshot.revision and not self.loading()

    def loading(self) -> list[str]:
        """The versions that are neither ready nor failed, such as `iris@3`."""
        return [
            f"{state.model}@{state.version}"
            for state in self.applied.states
            if state.state not in (READY, FAILED)
        ]

    def close(self) -> None:
        """Hangs up. The engine keeps serving and connects again."""
        self.open = False
        self._writer.transport.abort()

    def _take(self) -> list[Message]:
        messages: list[Message] = []
        if self._snapshot is not None:
            # of a thousand models one has changed: to read them all again would halt the engine
            told, self._told, self._snapshot = self._told, self._snapshot, None
            messages.append(Push(self._told) if told is None else Update(change(told, self._told)))
        if self._request > self._asked:
            messages.append(Collect(self._request))
            self._asked = self._request
        # behind the snapshot: who is told of a change has it already
        messages += self._answers
        self._answers.clear()
        return messages
