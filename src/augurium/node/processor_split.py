"""Processors of their own for predictions and for batch jobs, while both have work.

That workers of batch jobs are of the idle class is not enough for short requests: under EEVDF
(sched/sched-eevdf.rst, Linux 6.6 and later) a task that had more than its share waits for the
others also where these are idle ones, for up to a tick. Beside busy workers about one wake-up in a
hundred met that. On processors without workers there is nobody to wait for.
"""

import asyncio
import fcntl
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from augurium.core import processors
from augurium.core.files import replace_content
from augurium.core.home import Home

INTERVAL_S = 0.25
# how many intervals the use of processors is taken over
INTERVALS = 4
# predictions that use less of a processor than this get none of their own
QUIET = 0.03
# room for more requests until the next look
HEADROOM = 1.5
# predictions keep for so long what they do not need any more
CALM_S = 5.0

log = structlog.get_logger()


class Split(NamedTuple):
    """The numbers of the processors of predictions, and of those of batch jobs."""

    online: frozenset[int]
    batch: frozenset[int]


def needed_for(use: float, usable: int) -> int:
    """How many of the usable processors predictions need that use `use` of them."""
    if use < QUIET or usable == 1:
        return 0
    return min(math.ceil(use * HEADROOM), usable)


def split_of(usable: frozenset[int], needed: int) -> Split:
    """Who keeps to which processors when predictions need so many.

    Where they need all, batch jobs have one of them, when it is idle.
    """
    numbers = sorted(usable)
    if not needed:
        return Split(usable, usable)
    if needed < len(numbers):
        return Split(frozenset(numbers[:needed]), frozenset(numbers[needed:]))
    return Split(usable, frozenset(numbers[-1:]))


class ProcessorSplit:
    """Keeps engines, and what they start, on the processors of predictions while batch jobs run,
    and tells the jobs which ones are theirs. `engines` gives the process ids of the engines.
    """

    def __init__(self, home: Home, engines: Callable[[], Iterable[int]]) -> None:
        self._home = home
        self._engines = engines
        self._usable = processors.USABLE
        self._needed = 0
        self._needed_at = 0.0
        self._split = self._before = split_of(self._usable, 0)
        self._looks: deque[_Look] = deque(maxlen=INTERVALS + 1)
        # processes that nobody else keeps on some processors
        self._kept: set[int] = set()

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        self._home.batch_processors.unlink(missing_ok=True)
        problem = ""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await asyncio.to_thread(self.look)
            except OSError as error:
                if str(error) != problem:
                    log.warning("processors cannot be split", reason=str(error))
                problem = str(error)

    def look(self) -> None:
        """Measures what predictions use, and changes the split when it has to. Blocking."""
        if self._jobs_run():
            tree = [each for engine in self._engines() for each in processors.process_tree(engine)]
            self._looks.append(_Look.at(tree))
            self._need(needed_for(_use(self._looks), len(self._usable)))
            self._keep(tree)
        elif self._looks:
            self._looks.clear()
            self._change(0)
            self._keep(tuple(self._kept))

    def _jobs_run(self) -> bool:
        with self._home.batch_lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _need(self, needed: int) -> None:
        now = time.monotonic()
        if needed >= self._needed or now - self._needed_at > CALM_S:
            self._needed_at = now
            self._change(needed)

    def _change(self, needed: int) -> None:
        if needed == self._needed:
            return
        self._needed = needed
        self._before, self._split = self._split, split_of(self._usable, needed)
        online, batch = map(sorted, self._split)
        log.info("processors split", predictions=online, batch_jobs=batch)
        replace_content(self._home.batch_processors, msgspec.json.encode(batch))

    def _keep(self, tree: Sequence[int]) -> None:
        self._kept.intersection_update(tree)
        # not those that serve a model whose placement names processors
        self._kept |= {each for each in tree if processors.kept_on(each) == self._usable}
        for process in self._kept:
            processors.keep_on(process, self._split.online, (self._usable, self._before.online))


class _Look(NamedTuple):
    """When it was, and how many seconds of a processor each process had taken."""

    when: float
    seconds: Mapping[int, float]

    @classmethod
    def at(cls, tree: Iterable[int]) -> "_Look":
        seconds = {each: processors.cpu_seconds(each) for each in tree}
        return cls(time.monotonic(), seconds)


def _use(looks: Sequence[_Look]) -> float:
    """How many processors were busy from the first look to the last."""
    first, last = looks[0], looks[-1]
    if last.when == first.when:
        return 0.0
    # what a process took before it was first seen says nothing of this time
    taken = sum(each - first.seconds.get(process, each) for process, each in last.seconds.items())
    return taken / (last.when - first.when)
