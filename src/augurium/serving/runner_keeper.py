"""Keeps a runner running: notices its end at once and has the next one started, with pauses."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from augurium.core.errors import ModelFailed
from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_process import RunnerProcess

FAREWELL_S = 1.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
# while its runner rests for longer than this, a version fails at once instead of letting wait
PATIENCE_S = 1.0
HEALTHY_AFTER_S = 10.0
MEMORY_LOOK_S = 0.25

log = structlog.get_logger()


class RunnerKeeper:
    """Whether one version's runner is there. Any thread may ask, or wait for it.

    `problem` says why nobody should wait; empty if it comes soon. `told` is called on a thread when
    it came or went.
    """

    def __init__(self, process: RunnerProcess) -> None:
        """Returns when the version has loaded. Blocking. Raises ModelFailed if it does not."""
        self._process = process
        self._changed = threading.Condition()
        self.closed = False
        self.problem = ""
        self.told: Callable[[], None] | None = None
        # counts the runner's comings and goings; odd while it is there
        self.generation = 0
        # when the runner last answered `ping`, in monotonic seconds
        self.heard = float("-inf")
        self._lifeline = process.connect()
        self._came(self._lifeline)
        threading.Thread(target=self._keep, args=(self._lifeline,), daemon=True).start()

    @property
    def there(self) -> bool:
        return bool(self.generation % 2) and not self.closed

    def wait_until_there(self, deadline: float) -> int:
        """The generation of the runner that is there or comes next. Raises ModelFailed."""
        with self._changed:
            while True:
                remaining_s = deadline - time.monotonic()
                if self.closed:
                    raise ModelFailed("the version is being unloaded")
                if remaining_s <= 0:
                    raise ModelFailed("its runner is not there yet; try again later")
                if self.generation % 2:
                    return self.generation
                if self.problem:
                    raise ModelFailed(self.problem)
                self._changed.wait(remaining_s)

    def wait_for_news(self, generation: int, deadline: float) -> None:
        """The runner has gone: returns when that has been noticed."""
        remaining_s = max(0.0, deadline - time.monotonic())
        with self._changed:
            self._changed.wait_for(
                lambda: generation != self.generation or self.closed, remaining_s
            )

    def ping(self) -> None:
        """Asks for a sign of life that any thread of the runner can give which has Python's lock;
        does not wait for it.
        """
        with self._changed:
            if self.there:
                with suppress(OSError):
                    self._lifeline.send(wire.Ping(), (), 0.0)

    def close(self) -> None:
        """Lets go of the runner, which ends when no other engine needs it."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
            lifeline = self._lifeline
        with suppress(OSError):
            lifeline.send(wire.Goodbye(), (), time.monotonic() + FAREWELL_S)
        lifeline.shut_down()

    def _came(self, lifeline: Channel) -> None:
        with self._changed:
            self._lifeline = lifeline
            self.problem = ""
            self.generation += 1
            self._changed.notify_all()
        self._tell()

    def _went(self, problem: str) -> None:
        with self._changed:
            self.problem = problem
            self.generation += self.generation % 2
            self._changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        if self.told is not None:
            self.told()

    def _keep(self, lifeline: Channel) -> None:
        """Waits for the end of the runner and starts the next one, with pauses that grow."""
        pause_s = 0.0
        while True:
            came = time.monotonic()
            self._watch(lifeline)
            lifeline.close()
            if self.closed:
                return
            lived_s = time.monotonic() - came
            pause_s = 0.0 if lived_s > HEALTHY_AFTER_S else _longer(pause_s)
            if self._process.shared:
                # all engines say first whose runs were inside
                pause_s = max(FIRST_PAUSE_S, pause_s)
            found = self._next(pause_s)
            if found is None:
                return
            lifeline, pause_s = found

    def _watch(self, lifeline: Channel) -> None:
        """Returns when the runner has ended, which it does when it takes too much memory."""
        limited = self._process.limited
        with suppress(OSError, wire.WireError):
            while True:
                patience_s = MEMORY_LOOK_S if limited else float("inf")
                try:
                    message, _ = lifeline.receive(time.monotonic() + patience_s)
                except TimeoutError:
                    self._process.check_memory()
                    continue
                if not isinstance(message, wire.Pong):
                    return
                self.heard = time.monotonic()

    def _next(self, pause_s: float) -> tuple[Channel, float] | None:
        """The lifeline of the next runner, and the pause that came before; None when closed."""
        problem = "the model ended its runner several times" if pause_s > PATIENCE_S else ""
        while True:
            self._went(f"{problem}; it is started again in {pause_s:g} s" if problem else "")
            with self._changed:
                if self._changed.wait_for(lambda: self.closed, pause_s):
                    return None
            try:
                lifeline = self._process.connect()
            except ModelFailed as error:
                problem = str(error)
                log.error("runner not started", runner=self._process.name, reason=problem)
                pause_s = _longer(pause_s)
                continue
            self._came(lifeline)
            if self.closed:
                lifeline.close()
                return None
            return lifeline, pause_s


def _longer(pause_s: float) -> float:
    return min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * pause_s))
