"""The composition root of an engine: everything of the data plane that does not depend on a
transport.
"""

import asyncio
import functools
import os
import time
from pathlib import Path

import msgspec
import structlog

from augurium.access.gateway import Gateway
from augurium.access.ledger import Ledger
from augurium.core.errors import AuguriumError
from augurium.core.home import NodeConfig
from augurium.core.logs import LogSwitch
from augurium.core.process_memory import resident_bytes
from augurium.core.settings import CacheSettings
from augurium.serving.collector import Collector
from augurium.serving.control_link import ControlLink
from augurium.serving.link import Applied, Hello
from augurium.serving.linked_control import LinkedControl
from augurium.serving.load_mark import LoadMark, ended_again
from augurium.serving.loading import Loader
from augurium.serving.metrics import EngineMetrics
from augurium.serving.neighbours import Neighbours
from augurium.serving.plane import DataPlane
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.prediction_log import PredictionLog
from augurium.serving.prediction_reporter import PredictionReporter
from augurium.serving.recorded_traffic_file import load_traffic, save_traffic
from augurium.serving.residency import Residency
from augurium.serving.resident_list import ResidentList
from augurium.serving.router import Router
from augurium.serving.run_threads import run_threads
from augurium.serving.runner_place import sweep
from augurium.serving.served_version import ServedVersion
from augurium.serving.shadow import Shadowing
from augurium.serving.shared_cache import SharedCache
from augurium.serving.snapshot import DesiredVersion, Snapshot
from augurium.serving.snapshot_keeper import SnapshotKeeper
from augurium.serving.spare_capacity import SpareCapacity

# an engine that is killed starts with what it held so long before
RESIDENTS_INTERVAL_S = 5.0

log = structlog.get_logger()


class Engine:
    """One engine process's core. Build it on the event loop that will serve."""

    def __init__(self, config: NodeConfig, slot: str) -> None:
        loop = asyncio.get_running_loop()
        limits = config.settings.limits
        router: Router[ServedVersion] = Router()
        self._threads = run_threads(min(8, (os.cpu_count() or 1) + 1), "augurium-run")
        self._run_folder = config.home.run
        self._keeper = SnapshotKeeper(config.home.snapshot(slot), self._report)
        # None costs a request nothing: whoever reaches a node without keys may do everything
        self._ledger = Ledger(config.home.ledger) if config.settings.access.required else None
        self.gateway = Gateway(self._ledger) if self._ledger else None
        self._log = LogSwitch(config.settings.log, slot)
        self._shared_cache = _shared_cache(config.settings.cache)
        self._budget_bytes = _per_engine(config)
        cache = PredictionCache(config.settings.cache.max_bytes, shared=self._shared_cache)
        self._loop = loop
        self._loader = Loader(config, self._mended, slot)
        self._traffic = self._loader.traffic
        keeps = config.settings.warm_up.keep_traffic
        self._traffic_file = config.home.state / f"{slot}.traffic" if keeps else None
        self._neighbours = self._found_neighbours(config, slot)
        self._predictions = PredictionLog(config.settings.prediction_log)
        self._residency = Residency(
            router,
            loop,
            self._threads,
            self._loader,
            self._changed,
            cache,
            self._budget_bytes,
            LoadMark(config.home.load_note(slot)),
            config.most_engines,
            self._neighbours,
            config.settings.gpu.memory_bytes // config.most_engines,
            self._predictions,
        )
        self._residents = ResidentList(config.home.state / f"{slot}.residents")
        self._collector = Collector()
        self._tasks: list[asyncio.Task[None]] = []
        self._told_before = False
        self._link = ControlLink(
            config.home.link_socket,
            functools.partial(Hello, slot, os.getpid()),
            self._told,
            self._applied,
            self._metrics,
        )
        self._reporter = PredictionReporter(self._predictions, self._link, self._threads)
        self.control = LinkedControl(self._link.ask)
        self._shadowing = Shadowing(
            router.resolve,
            self._residency.metrics_of,
            loop,
            SpareCapacity(limits.max_in_flight),
        )
        self.plane = DataPlane(
            router,
            limits.max_in_flight,
            limits.request_timeout_s,
            limits.stream_timeout_s,
            cache,
            self._shadowing,
        )

    def load(self) -> None:
        """Loads what the last run served, without waiting for control. Where that is not known, it
        is not ready, and says so of every model, until control has told it what there is.
        """
        sweep(self._run_folder)
        self._loader.sweep()
        self._load_traffic()
        kept = self._keeper.load()
        if kept is not None:
            self._take(kept, proven=True)
        if self._neighbours is not None:
            self._neighbours.start()

    def connect(self) -> None:
        """Connects to control, whose word counts from then on."""
        self._link.start()
        self._tasks = [
            asyncio.create_task(self._note_residents()),
            asyncio.create_task(self._keeper.run()),
            asyncio.create_task(self._reporter.run()),
        ]

    async def drain(self, delay_s: float, timeout_s: float) -> None:
        """Reports not ready for `delay_s`, so that balancers notice, then waits for accepted
        requests to finish.
        """
        self.plane.stopping = True
        await asyncio.sleep(delay_s)
        try:
            await asyncio.wait_for(self._answered(), timeout_s)
        except TimeoutError:
            log.error("drain gave up", timeout_s=timeout_s)
            self.plane.cut_streams()

    async def _answered(self) -> None:
        await self.plane.drain()
        if self._neighbours is not None:
            await self._neighbours.leave()

    async def stop(self) -> None:
        """Lets go of control, loads and threads."""
        await self._reporter.finish()
        await self._link.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._keeper.finish()
        if self.plane.loaded.is_set():
            self._residents.write(self._residency.awake())
        if self._neighbours is not None:
            await self._neighbours.stop()
        self._shadowing.stop()
        await self._residency.stop()
        self._save_traffic()
        if self._shared_cache is not None:
            await self._shared_cache.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._shadowing.close()
        if self._ledger is not None:
            self._ledger.close()

    def _found_neighbours(self, config: NodeConfig, slot: str) -> Neighbours | None:
        """The other engines, where a version need not be in all of them."""
        wanted = config.settings.residency.neighbours and self._budget_bytes > 0
        if not wanted or config.most_engines == 1:
            return None
        slots = [f"engine-{number}" for number in range(config.most_engines)]

        home = config.home

        def find(model: str, version: int) -> ServedVersion | None:
            return self._residency.find(model, version)

        def ended(slot: str, desired: DesiredVersion) -> bool:
            name = f"{desired.model}@{desired.version}"
            return ended_again(home.load_note(slot), name, desired.digest)

        return Neighbours(self._loop, slot, slots, home.neighbour_socket, find, ended)

    def _told(self, snapshot: Snapshot) -> None:
        """Takes what control pushes; where the log begins is not kept for the next start."""
        self._log.set(snapshot.log_level)
        # what was deployed before this engine came has run in one that was there
        proven, self._told_before = not self._told_before, True
        self._take(snapshot, proven)

    def _take(self, snapshot: Snapshot, proven: bool = False) -> None:
        """Brings this engine to what a snapshot desires; who may call changes at once.

        The versions of one that is `proven` have run before, here or in another engine.
        """
        if self.gateway is not None:
            try:
                self.gateway.renew(snapshot.access)
            except AuguriumError as error:
                log.error("credentials not renewed", reason=str(error))
        kept = self._keeper.kept
        if kept.access != snapshot.access:
            # at once: the next start must know who may call, also if it comes before all is loaded
            self._keeper.keep(msgspec.structs.replace(kept, access=snapshot.access))
        self._residency.apply(snapshot, proven)
        self._shadowing.take(snapshot)

    def _load_traffic(self) -> None:
        if self._traffic_file is None:
            return
        try:
            load_traffic(self._traffic_file, self._traffic)
        except AuguriumError as error:
            log.error("recorded rows ignored", reason=str(error))

    def _save_traffic(self) -> None:
        if self._traffic_file is None:
            return
        try:
            save_traffic(self._traffic_file, self._traffic)
        except OSError as error:
            log.error("recorded rows not kept", reason=error.strerror)

    def _mended(self, digest: str) -> Path | None:
        """A damaged file, which control brought back whole; None if it cannot. On a thread."""
        mending = asyncio.run_coroutine_threadsafe(self.control.mended(digest), self._loop)
        try:
            return mending.result()
        except AuguriumError as error:
            log.error("file not mended", digest=digest, reason=str(error))
            return None

    def _changed(self) -> None:
        """A version changed its state: the next start is prepared, then control is told."""
        if not self._residency.settled:
            self._link.report()
            return
        self.plane.loaded.set()
        self._collector.settle(self._residency.retired)
        # whoever is told that a version is deployed may rely on the next start to know it
        self._keeper.keep_soon(self._proven)

    def _report(self) -> None:
        self._link.report()

    def _proven(self) -> Snapshot:
        """What the next start begins with: what was kept, while something is loading again."""
        return self._residency.proven() if self._residency.settled else self._keeper.kept

    async def _note_residents(self) -> None:
        """Takes up what was in memory at the end of the last run, then notes what is."""
        await self.plane.loaded.wait()
        self._residency.prefetch(self._residents.read())
        while True:
            await asyncio.sleep(RESIDENTS_INTERVAL_S)
            self._residents.write(self._residency.awake())

    def _applied(self) -> Applied:
        return Applied(self._residency.revision, self._residency.states())

    def _metrics(self, thorough: bool) -> EngineMetrics:
        metrics = self._residency.metrics(thorough)
        metrics.unrouted = dict(self.plane.unrouted)
        metrics.cpu_s = time.process_time()
        metrics.memory_bytes = resident_bytes()
        metrics.budget_bytes = self._budget_bytes
        if self._shared_cache is not None:
            metrics.shared_cache_failures = self._shared_cache.failures
        return metrics


def _per_engine(config: NodeConfig) -> int:
    return config.settings.residency.memory_bytes // config.most_engines


def _shared_cache(settings: CacheSettings) -> SharedCache | None:
    if not settings.redis_url:
        return None
    # an extra, loaded only where it is used
    from augurium.serving.cache_redis import RedisCache

    return RedisCache(settings.redis_url, settings.redis_timeout_s)
