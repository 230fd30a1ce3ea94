"""The loads of a runner, one after the other: each can be measured, and what ends the process is
known.
"""

import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from augurium.serving.runner_held import HeldModel, give_back
from augurium.serving.runner_queue import Errand


class Loads:
    """Lives on the thread that serves. A process that versions share loads beside it, so that runs
    go on; one of its own loads on it, which is the first, as some packages want it.

    `begins` and `done` are called with each version. A load that takes longer than `timeout_s` ends
    the process.
    """

    def __init__(
        self,
        *,
        shared: bool,
        timeout_s: float,
        errand: Errand,
        begins: Callable[[HeldModel], None],
        done: Callable[[HeldModel], None],
    ) -> None:
        self._thread = ThreadPoolExecutor(1, "load") if shared else None
        self._timeout_s = timeout_s
        self._errand = errand
        self._begins = begins
        self._done = done
        self._waiting: deque[HeldModel] = deque()
        self._current: HeldModel | None = None

    def add(self, held: HeldModel) -> None:
        """Loads it when those before it have loaded."""
        self._waiting.append(held)
        self._next()

    def is_loading(self, held: HeldModel) -> bool:
        return self._current is held

    def give_back(self) -> None:
        """Memory of what was unloaded goes back to the system."""
        if self._thread is None:
            give_back()
        else:
            self._thread.submit(give_back)

    def _next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        held = self._current = self._waiting.popleft()
        # before it can end the process
        self._begins(held)
        # by the kernel: no thread of this process may be able to say anything any more
        signal.setitimer(signal.ITIMER_REAL, self._timeout_s)
        if self._thread is None:
            held.load()
            self._end()
        else:
            load = self._thread.submit(held.load)
            load.add_done_callback(lambda _: self._errand(self._end))

    def _end(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        held, self._current = self._current, None
        if held is not None:
            self._done(held)
        self._next()
