"""Whose turn it is in a runner that holds several versions: one run each, round and round."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol


class Turn(NamedTuple):
    """What became of a turn: whether a run was started, and in how many seconds another is due,
    None if that depends on others.
    """

    started: bool
    next_s: float | None


class Waiting(Protocol):
    """A version's batches that wait for a run."""

    @property
    def busy(self) -> bool:
        """Whether anything waits."""
        ...

    def start_one(self) -> Turn:
        """Starts the next run if it is due and there is a place for it."""
        ...


class Turns:
    """The runs of one process: `most_runs` at a time on its `threads`, shared fairly by its
    versions. Lives on the thread that serves.

    Who has had a turn is behind all others who wait: however many long runs one version asks for,
    another waits for the end of one. Runs on the thread that serves take no place.
    """

    def __init__(self, most_runs: int) -> None:
        self.threads = ThreadPoolExecutor(most_runs, "run")
        self.free = most_runs
        self._queues: deque[Waiting] = deque()

    def join(self, queue: Waiting) -> None:
        """Something waits in a queue in which nothing waited before."""
        self._queues.append(queue)

    def start_due(self) -> float | None:
        """Gives everybody who waits a turn; in how many seconds the next one is due, None if that
        depends on others.
        """
        soonest: float | None = None
        passed_over: list[Waiting] = []
        for _ in range(len(self._queues)):
            queue = self._queues.popleft()
            turn = queue.start_one()
            if turn.next_s is not None and (soonest is None or turn.next_s < soonest):
                soonest = turn.next_s
            if not queue.busy:
                continue
            if turn.started:
                self._queues.append(queue)
            else:
                passed_over.append(queue)
        self._queues.extendleft(reversed(passed_over))
        return soonest
