"""A version in a runner, from its first guest to the moment after the last."""

import gc
import sys
import time
from pathlib import Path

from augurium.core.errors import AuguriumError
from augurium.core.process_memory import resident_bytes, trim
from augurium.runtimes.placement import Placement
from augurium.runtimes.runtime import load, prepare
from augurium.serving import runner_wire as wire
from augurium.serving.integrity import check_file
from augurium.serving.runner_queue import MESSAGE_CHARACTERS, Errand, ModelRuns, RunQueue
from augurium.serving.runner_turns import Turns
from augurium.serving.runner_visitor import Visitor


class HeldModel:
    """One version. `guests` counts the connections that are here for it; `problem` says why it did
    not load. Without guests it is needed no more from `unneeded_at` on.

    In a process that others share it is `measured`: the process took `base_bytes` before, and grew
    by `memory_bytes` when it loaded.
    """

    def __init__(self, want: wire.Want, *, measured: bool, threads: int) -> None:
        """A run has so many `threads`."""
        self.want = want
        self.key = want.key
        self.guests = 0
        self.problem = ""
        self.runs: ModelRuns | None = None
        self.queue: RunQueue | None = None
        self.unneeded_at = 0.0
        self.memory_bytes = self.base_bytes = 0
        self._measured = measured
        self._threads = threads
        self._dismissed = False
        # who came before it had loaded
        self.visitors: list[Visitor] = []

    @property
    def settled(self) -> bool:
        """Whether it has loaded, or could not."""
        return self.queue is not None or bool(self.problem)

    def load(self) -> None:
        """Loads it, or says in `problem` why that failed. Blocking, on any thread."""
        try:
            self.runs = self._loaded()
        except Exception as error:  # the edge of the process: whoever connects hears the reason
            self.problem = _reason(error)

    def open(self, turns: Turns, errand: Errand) -> None:
        """It takes runs from now on, if it has loaded; on the thread that serves."""
        if self.runs is not None:
            self.queue = RunQueue(self.runs, self.want, turns, errand)
        else:
            self.problem = self.problem or "the model cannot be loaded"

    @property
    def device_bytes(self) -> int:
        """What it takes of the memory of its device now."""
        return self.runs.device_bytes if self.runs else 0

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

    def unload(self) -> None:
        """Lets go of the model; `give_back` is due."""
        if self.queue is not None:
            self.queue.close()
        self.runs = self.queue = None

    def _loaded(self) -> ModelRuns:
        want = self.want
        path = Path(want.path)
        check_file(path, want.digest)
        weights = Path(want.weights_path) if want.weights_path else None
        if weights and want.weights_digest:
            check_file(weights, want.weights_digest)
        if self._measured:
            # what the framework takes is nobody's alone
            runtime = sys.modules[prepare(want.runtime).__module__]
            import_framework = getattr(runtime, "import_framework", None)
            if import_framework is not None:
                # some import it only when they load
                import_framework()
            if not gc.get_freeze_count():
                # looking through a framework's objects again and again would hold up all runs
                gc.freeze()
            give_back()
            self.base_bytes = resident_bytes()
        placement = Placement(want.device, want.batched, want.max_rows)
        model = load(want.runtime, path, want.options, weights, self._threads, placement)
        if self._measured:
            give_back()
            self.memory_bytes = max(0, resident_bytes() - self.base_bytes)
        return ModelRuns(model, want.inputs, want.outputs, want.datatypes)


def give_back() -> None:
    """Memory that nothing holds any more goes back to the system. Takes milliseconds."""
    gc.collect()
    trim()


def _reason(error: Exception) -> str:
    if isinstance(error, AuguriumError):
        return str(error)[:MESSAGE_CHARACTERS]
    return f"the model cannot be loaded: {type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
