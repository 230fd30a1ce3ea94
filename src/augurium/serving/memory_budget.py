"""Which versions are in memory, where not all of them fit: loaded when they are asked for, let go
when their memory is wanted for others.

Everything here happens on the event loop that serves, so nothing is let go between the moment a
request finds its version loaded and the moment it runs; only the loading itself is on a thread.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog

from augurium.core.errors import AuguriumError, NotReady, Overloaded
from augurium.core.process_memory import resident_bytes, trim
from augurium.serving.metrics import VersionMetrics

# after a load that failed, and for longer each time
FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
# how long what has to go may take to finish what it accepted
PATIENCE_S = 5.0
# what it takes the engines of a node to pass a request on, in seconds of their loops
HOP_S = 0.0002
# of its budget: what one copy may take, and all of them together
LARGEST_COPY, MOST_COPIES = 1 / 4, 1 / 2
# freed memory goes back to the system in such pieces: each time costs milliseconds
PIECE_BYTES = 32 * 1024**2
DRAIN_POLL_S = 0.002

log = structlog.get_logger()


class Base(NamedTuple):
    """What versions take together, however many of them are there: a process and its framework."""

    name: str
    size_bytes: int


class Loading:
    """A load, and how many wait for it."""

    def __init__(self, done: "asyncio.Future[None]") -> None:
        self.done = done
        self.waiting = 0


class Resident:
    """One version's place in the budget: in memory, or asleep on the disk.

    `load` loads it, blocking, and `unload` lets go of it; `size_bytes` is what its files take until
    it was measured. While it is `in_use` it is not unloaded, and never while it is `pinned`.
    `metrics` counts what becomes of it. What lives in another process says itself what it takes
    (`takes`) and what it shares with others there (`shares`), and loads on `threads` of its own,
    beside others. One that another engine holds as well is a `copy`: without it, requests are
    passed on.
    """

    def __init__(
        self,
        name: str,
        size_bytes: int,
        load: Callable[[], None],
        unload: Callable[[], None],
        in_use: Callable[[], bool] = lambda: False,
        metrics: VersionMetrics | None = None,
        takes: Callable[[], int] | None = None,
        threads: ThreadPoolExecutor | None = None,
        shares: Callable[[], Base | None] = lambda: None,
    ) -> None:
        self.name = name
        self.shares = shares
        # as it was when it loaded last
        self.base: Base | None = None
        self.takes = takes
        self.threads = threads
        self.size_bytes = size_bytes
        self.load = load
        self.unload = unload
        self.in_use = in_use
        self.metrics = metrics or VersionMetrics(name, 0)
        self.measured = False
        self.copy: Callable[[], bool] = lambda: False
        self.awake = False
        self.pinned = False
        self.gone = False
        self.load_s = 0.0
        self.used_at = 0.0
        self.loading: Loading | None = None
        self.failure: NotReady | None = None
        self.rests_until = 0.0
        self.rest_s = FIRST_REST_S


class Residence:
    """A version's place in a budget."""

    def __init__(self, budget: "MemoryBudget", resident: Resident) -> None:
        self._budget = budget
        self.resident = resident

    def use(self) -> bool:
        """Whether it is in memory; then it was used now."""
        if self.resident.awake:
            self._budget.used(self.resident)
        return self.resident.awake

    async def wake(self) -> None:
        """Returns when it is in memory. Raises as `MemoryBudget.wake`."""
        await self._budget.wake(self.resident)

    @property
    def fits(self) -> bool:
        """Whether it is asleep and there is room for it beside all that is in memory."""
        room_bytes = self._budget.limit_bytes - self._budget.used_bytes
        return not self.resident.awake and self._budget.needed_bytes(self.resident) <= room_bytes

    @property
    def may_copy(self) -> bool:
        """Whether it is small enough to be here beside what only this engine holds."""
        limit, size = self._budget.limit_bytes, self.resident.size_bytes
        return (
            size <= LARGEST_COPY * limit and size + self._budget.copied_bytes <= MOST_COPIES * limit
        )

    def sleep(self) -> bool:
        """Lets go of it until somebody asks, unless it is in use; whether it sleeps now."""
        return self._budget.put_to_sleep(self.resident)

    def measure(self) -> None:
        """Takes over what it takes now, where that is in another process and may change."""
        if self.resident.awake and self.resident.takes is not None:
            self.resident.size_bytes = max(1, self.resident.takes())

    def leave(self) -> None:
        """It is not served any more."""
        self._budget.forget(self.resident)


class MemoryBudget:
    """Holds the versions of one engine within `limit_bytes`. Lives on one event loop."""

    def __init__(
        self,
        limit_bytes: int,
        loads: ThreadPoolExecutor,
        now: Callable[[], float] = time.monotonic,
        measured: Callable[[], int] = resident_bytes,
        patience_s: float = PATIENCE_S,
        setting: str = "residency.memory_bytes",
    ) -> None:
        """`setting` is the one that a refusal names."""
        self._setting = setting
        self.limit_bytes = limit_bytes
        self._loads = loads
        self._now = now
        self._measured = measured
        self._patience_s = patience_s
        # the first load brings libraries and threads with it, which stay
        self._settled = False
        # what this process keeps of memory that versions have freed, at most
        self._freed_bytes = 0
        self._residents: set[Resident] = set()
        # loads happen one after the other, so that each can be measured
        self._turn = asyncio.Lock()
        self._turns: set[asyncio.Task[None]] = set()

    @property
    def used_bytes(self) -> int:
        """What the versions in memory take, and what they share, once."""
        return _together(self._residents)

    def needed_bytes(self, resident: Resident) -> int:
        """What a version takes beside those that are in memory."""
        base = resident.base
        if base is None or any(
            other.base and other.base.name == base.name for other in self._residents
        ):
            return resident.size_bytes
        return resident.size_bytes + base.size_bytes

    @property
    def copied_bytes(self) -> int:
        """What of that other engines hold as well."""
        return sum(resident.size_bytes for resident in self._residents if resident.copy())

    async def wake(self, resident: Resident) -> None:
        """Returns when it is in memory; all who wait share one load.

        Raises NotReady when it cannot be loaded, at once where that was found out a moment ago, and
        Overloaded while everything in memory is in use.
        """
        if resident.awake:
            return
        if resident.failure is not None and self._now() < resident.rests_until:
            raise resident.failure
        loading = resident.loading
        if loading is None:
            loading = resident.loading = Loading(asyncio.get_running_loop().create_future())
            task = asyncio.ensure_future(self._take_turn(resident, loading))
            self._turns.add(task)
            task.add_done_callback(self._turns.discard)
        loading.waiting += 1
        try:
            # it goes on for the others when one of them leaves
            await asyncio.shield(loading.done)
        finally:
            loading.waiting -= 1

    def used(self, resident: Resident) -> None:
        """It was asked for now."""
        resident.used_at = self._now()

    def put_to_sleep(self, resident: Resident) -> bool:
        """Lets go of one that is idle and not pinned; whether it sleeps."""
        if resident.awake and not resident.pinned and not resident.in_use():
            resident.awake = False
            self._evict(resident)
        return not resident.awake

    def forget(self, resident: Resident) -> None:
        """It is not served any more; whoever held it lets go of it."""
        self._residents.discard(resident)
        resident.awake, resident.gone = False, True

    async def _take_turn(self, resident: Resident, loading: Loading) -> None:
        try:
            async with self._turn:
                # what had to go, and could not in time, is there still
                if not resident.awake:
                    await self._make_room(resident)
                    # its room is kept while it loads
                    self._residents.add(resident)
                    if resident.takes is None:
                        await self._load(resident)
                if resident.awake or resident.takes is None:
                    await self._arrived(resident, loading)
                    return
            await self._load(resident)
            async with self._turn:
                await self._arrived(resident, loading)
        except Exception as error:
            if not resident.awake:
                self._residents.discard(resident)
            loading.done.set_exception(error)
            loading.done.exception()  # seen, also if all who waited have left
            resident.loading = None

    async def _arrived(self, resident: Resident, loading: Loading) -> None:
        """It is in memory from now on, and those who waited for it go on."""
        if resident.gone:
            resident.unload()
            raise NotReady(f"{resident.name} is not served any more")
        resident.awake, resident.failure, resident.rest_s = True, None, FIRST_REST_S
        self.used(resident)
        self._let_go_of_excess(resident)
        loading.done.set_result(None)
        resident.loading = None
        # all who waited put their rows into its queue before it may have to go again
        while loading.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def _load(self, resident: Resident) -> None:
        began = self._now()
        loading = self._load_measured if resident.takes is None else _load_elsewhere
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(resident.threads or self._loads, loading, resident)
        except AuguriumError as error:
            raise self._failed(resident, error) from error
        resident.load_s = self._now() - began
        resident.metrics.loaded(resident.load_s)
        log.info(
            "version loaded",
            version=resident.name,
            seconds=round(resident.load_s, 3),
            bytes=resident.size_bytes,
            used_bytes=self.used_bytes,
        )

    async def _make_room(self, resident: Resident) -> None:
        if resident.size_bytes > self.limit_bytes:
            raise NotReady(
                f"{resident.name} needs {resident.size_bytes} bytes and an engine may use"
                f" {self.limit_bytes} for models; raise {self._setting}"
            )
        pinned = sum(other.size_bytes for other in self._residents if other.pinned)
        if resident.size_bytes + pinned > self.limit_bytes:
            raise NotReady(
                f"{resident.name} needs {resident.size_bytes} bytes, and pinned versions take"
                f" {pinned} of the {self.limit_bytes} that an engine may use for models; raise"
                f" {self._setting} or pin less"
            )
        needed_bytes = self.needed_bytes(resident)
        going = self._chosen(needed_bytes)
        staying = _together(self._residents.difference(going))
        if staying + needed_bytes > self.limit_bytes:
            raise Overloaded(
                f"no memory for {resident.name} while others are loading; try again later"
            )
        for other in going:
            # requests for it wait from now on, and those it has accepted are answered
            other.awake = False
        try:
            await self._idle(going)
        except TimeoutError:
            for other in going:
                other.awake = True
            raise Overloaded(
                f"no memory for {resident.name}: what is loaded is in use; try again later"
            ) from None
        for other in going:
            self._evict(other)

    def _load_measured(self, resident: Resident) -> None:
        """Loads it, and finds out what it takes the first time. Blocking."""
        if not resident.measured or self._freed_bytes >= PIECE_BYTES:
            self._give_back()
        before = self._measured()
        resident.load()
        # what only the loading took: about a copy of its files
        self._freed_bytes += resident.size_bytes
        if resident.measured:
            return
        self._give_back()
        if self._settled:
            resident.size_bytes = max(resident.size_bytes, self._measured() - before)
        resident.measured = self._settled = True

    def _give_back(self) -> None:
        trim()
        self._freed_bytes = 0

    def _let_go_of_excess(self, loaded: Resident) -> None:
        """Back within the limit, when what was loaded took more than its files; as far as others
        are idle.
        """
        for other in sorted(self._movable - {loaded}, key=self._worth):
            if self.used_bytes <= self.limit_bytes:
                return
            if not other.in_use():
                other.awake = False
                self._evict(other)

    def _chosen(self, size_bytes: int) -> list[Resident]:
        """Those that make room for so many bytes: idle ones first, and the least worth of them."""
        used, going = self.used_bytes, []
        sharing = Counter(other.base.name for other in self._residents if other.base)
        movable = sorted(self._movable, key=lambda one: (one.in_use(), self._worth(one)))
        for other in movable:
            if used + size_bytes <= self.limit_bytes:
                break
            going.append(other)
            used -= other.size_bytes
            if other.base is not None:
                sharing[other.base.name] -= 1
                # with the last of its versions a process goes
                used -= 0 if sharing[other.base.name] else other.base.size_bytes
        return going

    @property
    def _movable(self) -> set[Resident]:
        """What may leave: not what is loading still, and not what is pinned."""
        return {other for other in self._residents if other.awake and not other.pinned}

    async def _idle(self, going: list[Resident]) -> None:
        """Returns when nobody uses them; raises TimeoutError when that takes too long."""
        async with asyncio.timeout(self._patience_s):
            # rare and short: it is not worth a signal with every answer
            while any(other.in_use() for other in going):  # noqa: ASYNC110
                await asyncio.sleep(DRAIN_POLL_S)

    def _evict(self, resident: Resident) -> None:
        self._residents.discard(resident)
        resident.metrics.evicted()
        resident.unload()
        self._freed_bytes += resident.size_bytes
        log.info("version put to sleep", version=resident.name, bytes=resident.size_bytes)

    def _worth(self, resident: Resident) -> float:
        """What keeping it saves: seconds of loading, or of passing a request on, by how long nobody
        asked, by what it takes (GreedyDual-Size: Cao and Irani, "Cost-Aware WWW Proxy Caching
        Algorithms", 1997).
        """
        idle_s = self._now() - resident.used_at
        saved_s = min(HOP_S, resident.load_s) if resident.copy() else resident.load_s
        return saved_s / ((idle_s + 0.001) * max(1, resident.size_bytes))

    def _failed(self, resident: Resident, error: AuguriumError) -> NotReady:
        """What is told until it is tried again."""
        resident.failure = failure = NotReady(f"{resident.name} cannot be loaded: {error}")
        resident.rests_until = self._now() + resident.rest_s
        resident.rest_s = min(LONGEST_REST_S, 2 * resident.rest_s)
        log.error("load failed", version=resident.name, reason=str(error))
        return failure


def _together(residents: Collection[Resident]) -> int:
    bases: dict[str, int] = {}
    for base in (resident.base for resident in residents):
        if base is not None:
            bases[base.name] = max(base.size_bytes, bases.get(base.name, 0))
    return sum(resident.size_bytes for resident in residents) + sum(bases.values())


def _load_elsewhere(resident: Resident) -> None:
    """Loads what lives in another process, and asks what it takes. Blocking."""
    resident.load()
    resident.base = resident.shares()
    if resident.takes is not None:
        resident.size_bytes = max(resident.size_bytes, resident.takes())
