"""A version in a runner, from its first guest to the moment after the last."""

import contextlib
import gc
import time
from collections.abc import Callable
from pathlib import Path

from augurium.core.errors import AuguriumError
from augurium.core.process_memory import trim
from augurium.runtimes.runtime import load
from augurium.serving import runner_wire as wire
from augurium.serving.integrity import check_file
from augurium.serving.runner_queue import MESSAGE_CHARACTERS, ModelRuns, RunQueue


class HeldModel:
    """One version. `guests` counts the connections that are here for it; `problem` says why it did
    not load. Without guests it is needed no more from `unneeded_at` on.
    """

    def __init__(
        self, want: wire.Want, most_runs: int, errand: Callable[[Callable[[], None]], None]
    ) -> None:
        """`errand` has the thread that serves do something."""
        self.want = want
        self.key = want.key
        self.guests = 0
        self.problem = ""
        self.runs: ModelRuns | None = None
        self.queue: RunQueue | None = None
        self.unneeded_at = 0.0
        self._most_runs = most_runs
        self._errand = errand
        self._dismissed = False

    def load(self) -> None:
        """Loads it, or says in `problem` why that failed. Blocking."""
        want = self.want
        try:
            path = Path(want.path)
            check_file(path, want.digest)
            weights = Path(want.weights_path) if want.weights_path else None
            if weights and want.weights_digest:
                check_file(weights, want.weights_digest)
            model = load(want.runtime, path, want.options, weights)
        except Exception as error:  # the edge of the process: whoever connects hears the reason
            self.problem = _reason(error)
            return
        self.runs = ModelRuns(model, want.inputs, want.outputs, want.datatypes)
        self.queue = RunQueue(self.runs, want, self._most_runs, self._told)

    def came(self) -> None:
        """A guest is here, whatever those before it said when they left."""
        self.guests += 1
        self._dismissed = False

    def left(self, *, dismissed: bool, idle_s: float) -> None:
        """A guest has left, for good if it said so; another may come back within `idle_s`."""
        self.guests -= 1
        self._dismissed = self._dismissed or dismissed
        if not self.guests:
            self.unneeded_at = time.monotonic() + (0.0 if self._dismissed else idle_s)

    def unload(self, *, last: bool) -> None:
        """Lets go of the model; its memory goes back to the system unless the process ends."""
        if self.queue is not None:
            self.queue.close()
        self.runs = self.queue = None
        if not last:
            gc.collect()
            with contextlib.suppress(OSError):
                trim()

    def _told(self) -> None:
        if (queue := self.queue) is not None:
            self._errand(queue.collect)


def _reason(error: Exception) -> str:
    if isinstance(error, AuguriumError):
        return str(error)[:MESSAGE_CHARACTERS]
    return f"the model cannot be loaded: {type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
