"""Which versions are in memory: brings an engine from what it holds to what a snapshot desires."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import msgspec
import structlog

from augurium.core.errors import AuguriumError
from augurium.core.serving_policy import ServingPolicy
from augurium.serving.absent_version import AbsentVersions
from augurium.serving.device_budgets import DeviceBudgets
from augurium.serving.elsewhere import Elsewhere
from augurium.serving.executor import VersionExecutor
from augurium.serving.load_mark import LoadMark
from augurium.serving.loading import Loader, files_bytes, may_sleep
from augurium.serving.memory_budget import MemoryBudget, Residence, Resident
from augurium.serving.metrics import EngineMetrics, VersionMetrics
from augurium.serving.neighbours import Neighbours
from augurium.serving.placement import in_engine
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.prediction_log import PredictionLog
from augurium.serving.router import BEING_LOADED, ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.sleeping_executor import SleepingExecutor
from augurium.serving.sleeping_runner import SleepingRunner
from augurium.serving.snapshot import DesiredVersion, Snapshot, VersionState
from augurium.serving.traffic_policies import TrafficPolicies
from augurium.serving.version_forms import served_version

Key = tuple[str, int]
# runners start beside each other: each is a process, and frameworks take seconds
STARTING_RUNNERS = 4

log = structlog.get_logger()


class Residency:
    """Loads, swaps in and drains versions. Lives on one event loop; files are read on threads of
    their own.

    A version takes requests only after it has loaded and run. A failed load leaves everything else
    as it was, and is tried again when the next snapshot still wants it.
    """

    def __init__(
        self,
        router: Router[ServedVersion],
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPoolExecutor,
        loader: Loader,
        changed: Callable[[], None],
        cache: PredictionCache | None = None,
        memory_bytes: int = 0,
        mark: LoadMark | None = None,
        engines: int = 1,
        neighbours: Neighbours | None = None,
        device_bytes: int = 0,
        prediction_log: PredictionLog | None = None,
    ) -> None:
        """`memory_bytes` are for the versions that may sleep, 0 for no limit, `device_bytes` for
        those on one device; `mark` remembers what ended an engine. One of `engines` that share
        runners, and answer for each other if they are `neighbours`.
        """
        self._prediction_log = prediction_log
        self._neighbours = neighbours if memory_bytes else None
        self._engines = engines
        self._router = router
        self._loop = loop
        self._threads = threads
        self._loader = loader
        self._loads = ThreadPoolExecutor(1, "augurium-load")
        self._runner_loads = ThreadPoolExecutor(STARTING_RUNNERS, "augurium-start")
        self._changed = changed
        self._limited = memory_bytes > 0
        self._budget = MemoryBudget(memory_bytes or sys.maxsize, self._loads)
        self._devices = DeviceBudgets(device_bytes, self._loads)
        self._mark = mark
        self._cache = cache
        self._snapshot = Snapshot()
        self._wanted: dict[Key, DesiredVersion] = {}
        self._served: dict[Key, ServedVersion] = {}
        self._loading: dict[Key, asyncio.Task[None]] = {}
        self._failed: dict[Key, str] = {}
        self._publish_due = False
        # how many versions have gone
        self.retired = 0
        self._draining: set[asyncio.Task[None]] = set()
        self._waking: set[asyncio.Task[None]] = set()
        self._metrics: dict[Key, VersionMetrics] = {}
        self._absent = AbsentVersions(self.metrics_of, router.resolve)
        self._traffic = TrafficPolicies()
        # of executors that are gone; a counter must not fall
        self._restarts: dict[Key, int] = {}

    @property
    def revision(self) -> int:
        """The revision of the newest snapshot."""
        return self._snapshot.revision

    @property
    def settled(self) -> bool:
        """Whether every desired version is ready or has failed."""
        return not self._loading

    def proven(self) -> Snapshot:
        """The newest snapshot without the versions that are not ready here.

        This is what an engine keeps for its next start: a version that ends the process while it
        loads is never among them, so it cannot do so again and again.
        """
        models = tuple(
            msgspec.structs.replace(
                model,
                versions=tuple(
                    # one that could not be changed is as it was
                    self._served[model.name, version.version].desired
                    for version in model.versions
                    if (model.name, version.version) in self._served
                ),
            )
            for model in self._snapshot.models
        )
        return msgspec.structs.replace(self._snapshot, models=models)

    def states(self) -> tuple[VersionState, ...]:
        """Where each desired version stands."""
        return tuple(
            VersionState(
                desired.model, desired.version, *self._state((desired.model, desired.version))
            )
            for desired in self._desired().values()
        )

    def metrics(self, thorough: bool = True) -> EngineMetrics:
        """The counters of every version this engine has held since it started.

        What versions are and have now is looked at where something was counted since, or of all of
        them if `thorough`: of a thousand versions that takes a few milliseconds.
        """
        for key, served in self._served.items():
            if thorough or served.changed:
                warm_up_s = self._loader.warm_up_s(*key)
                served.note_state(self._restarts.get(key, 0), warm_up_s)
        return EngineMetrics([metrics.gathered() for metrics in self._metrics.values()])

    def apply(self, snapshot: Snapshot, proven: bool = False) -> None:
        """Starts the loads and unloads that lead to `snapshot`; returns at once.

        Versions that are `proven` have run before, here or in another engine: where memory is
        limited they are loaded by the first request for them.
        """
        self._snapshot = snapshot
        desired = self._wanted = self._desired()
        self._failed.clear()
        for key in [key for key in self._loading if key not in desired]:
            self._loading.pop(key).cancel()
        for key, version in desired.items():
            served = self._served.get(key)
            if key not in self._loading and (served is None or served.desired != version):
                self._loading[key] = self._loop.create_task(self._load(key, version, proven))
        policies, replicas = self._policies(), self._replicas()
        if self._cache is not None:
            self._cache.wanted = any(policy.cache.ttl_s for policy in policies.values())
        for (name, _), version_served in self._served.items():
            self._take_policy(version_served, policies.get(name, ServingPolicy()))
            self._take_replicas(version_served, replicas.get(name, 1))
        removed = [key for key in self._served if key not in desired]
        retired = [self._served.pop(key) for key in removed]
        self._publish()
        for version_served in retired:
            self._retire(version_served)

    def awake(self) -> list[Key]:
        """What is in memory and may sleep, the last used first."""
        found = [
            (served.residence.resident.used_at, key)
            for key, served in self._served.items()
            if served.residence is not None and served.residence.resident.awake
        ]
        return [key for _, key in sorted(found, reverse=True)]

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Brings these into memory as far as there is room, one after the other, behind what
        requests wait for.
        """
        self._keep(self._prefetch(list(keys)))

    async def _prefetch(self, keys: list[Key]) -> None:
        for key in keys:
            served = self._served.get(key)
            if served is None or served.residence is None or not served.replicas:
                continue
            if served.residence.fits:
                with suppress(AuguriumError):
                    await served.residence.wake()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def stop(self) -> None:
        """Gives up loads in progress and lets go of runners. Requests in flight are the data
        plane's to drain.
        """
        tasks = [*self._loading.values(), *self._draining, *self._waking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for served in self._served.values():
            served.close()
        self._loads.shutdown(wait=False, cancel_futures=True)
        self._runner_loads.shutdown(wait=False, cancel_futures=True)

    async def _load(self, key: Key, desired: DesiredVersion, proven: bool) -> None:
        await self._load_once(key, desired, proven)
        wanted = self._wanted.get(key)
        if wanted is not None and wanted != desired and key not in self._loading:
            # it was changed again meanwhile
            self._loading[key] = self._loop.create_task(self._load(key, wanted, proven))

    async def _load_once(self, key: Key, desired: DesiredVersion, proven: bool) -> None:
        started = time.perf_counter()
        # a thousand that begin asleep are told in one turn; what replaces another must be the one
        # that is asked before the other goes
        publish = self._publish_soon if proven and key not in self._served else self._publish
        try:
            if may_sleep(desired):
                await self._settle(key, desired, proven)
                return
            executor = await self._loaded(desired)
        except AuguriumError as error:
            log.error("load failed", model=key[0], version=key[1], reason=str(error))
            self._failed[key] = str(error)
        else:
            self._swap_in(key, desired, executor, time.perf_counter() - started)
        finally:
            self._loading.pop(key, None)
            publish()

    async def _settle(self, key: Key, desired: DesiredVersion, proven: bool) -> None:
        """Gives a version its place in the budget: in memory, unless that is limited and it is
        proven.
        """
        executor = SleepingExecutor() if in_engine(desired) else SleepingRunner(self._engines)
        resident = Resident(
            f"{desired.model}@{desired.version}",
            files_bytes(desired),
            lambda: executor.wake(self._load_here(desired)),
            executor.sleep,
            metrics=self.metrics_of(*key),
        )
        if isinstance(executor, SleepingRunner):
            runner = executor
            on_device = desired.device.on_cuda
            resident.takes = lambda: runner.device_bytes if on_device else runner.memory_bytes
            resident.shares = lambda: None if on_device else runner.base
            resident.threads = self._runner_loads
            resident.size_bytes //= self._engines
        budget = self._devices.of(desired.device) if desired.device.on_cuda else self._budget
        residence = Residence(budget, resident)
        try:
            asleep = self._is_limited(desired) or self._replicas().get(key[0], 1) == 0
            if not (proven and asleep):
                await residence.wake()
        except BaseException:
            residence.leave()
            raise
        self._swap_in(key, desired, executor, resident.load_s, residence)

    def _is_limited(self, desired: DesiredVersion) -> bool:
        return self._devices.limited if desired.device.on_cuda else self._limited

    def _load_here(self, desired: DesiredVersion) -> VersionExecutor:
        if self._mark is None or not in_engine(desired):
            return self._loader.load(desired)
        with self._mark.loading(f"{desired.model}@{desired.version}", desired.digest):
            return self._loader.load(desired)

    async def _loaded(self, desired: DesiredVersion) -> VersionExecutor:
        threads = self._loads if in_engine(desired) else self._runner_loads
        loading = threads.submit(self._load_here, desired)
        try:
            return await asyncio.wrap_future(loading)
        except asyncio.CancelledError:
            # the thread goes on; what it brings is not wanted any more
            loading.add_done_callback(_close)
            raise

    def _swap_in(
        self,
        key: Key,
        desired: DesiredVersion,
        executor: VersionExecutor,
        seconds: float,
        residence: Residence | None = None,
    ) -> None:
        metrics = self.metrics_of(*key)
        metrics.load_s = seconds
        metrics.changes += 1
        replaced = self._served.get(key)
        served = served_version(desired, executor, metrics, self._loop, self._threads, self._cache)
        if residence is not None:
            elsewhere = None
            if self._neighbours is not None and in_engine(desired):
                residence.resident.copy = partial(self._is_copy, desired)
                elsewhere = Elsewhere(desired, residence, self._neighbours, metrics)
            served.move_in(residence, elsewhere)
        self._served[key] = served
        self._take_policy(served, self._policies().get(key[0], ServingPolicy()))
        self._take_replicas(served, self._replicas().get(key[0], 1))
        if replaced is not None:
            self._retire(replaced)
        log.info("version ready", model=key[0], version=key[1], seconds=round(seconds, 3))

    def find(self, model: str, version: int) -> ServedVersion | None:
        """A version that serves, or None."""
        return self._served.get((model, version))

    def _is_copy(self, desired: DesiredVersion) -> bool:
        return self._neighbours is not None and not self._neighbours.is_home(desired)

    def _take_policy(self, served: ServedVersion, policy: ServingPolicy) -> None:
        served.take_policy(policy, self._router.resolve)
        if self._prediction_log is not None:
            name, version = served.desired.model, served.desired.version
            served.log = self._prediction_log.of(name, version, policy.log, served.signature)
        residence = served.residence
        if residence is None:
            return
        served.may_be_asleep(self._is_limited(served.desired) or policy.replicas.least == 0)
        residence.resident.pinned = policy.residency.pinned
        if residence.resident.pinned and not residence.resident.awake:
            self._keep(_awake(residence))

    def _take_replicas(self, served: ServedVersion, number: int) -> None:
        """Brings the runners of a version to so many. From some to 0 puts it to sleep, until a
        request wakes it; from 0 to some wakes it.
        """
        before, served.replicas = served.replicas, number
        if number == before:
            return
        served.set_replicas(number)
        residence = served.residence
        if residence is None:
            return
        if number == 0:
            # also where the policy has changed before the number does
            served.may_be_asleep(True)
            residence.sleep()
        elif before == 0 and not (self._is_limited(served.desired) or residence.resident.awake):
            self._keep(_awake(residence))

    def _retire(self, served: ServedVersion) -> None:
        """Keeps a version alive until its last request has its answer."""
        self.retired += 1
        key = (served.desired.model, served.desired.version)
        self._restarts[key] = self._restarts.get(key, 0) + served.restarts
        task = self._loop.create_task(_end(served))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    def _publish_soon(self) -> None:
        """Publishes at the end of this turn of the loop, once."""
        if not self._publish_due:
            self._publish_due = True
            self._loop.call_soon(self._publish)

    def _publish(self) -> None:
        """Gives the router the new table and tells control."""
        self._publish_due = False
        routes = {}
        for model in self._snapshot.models:
            ready, unready = {}, {}
            for version in model.versions:
                key = (model.name, version.version)
                if key in self._served:
                    ready[version.version] = self._served[key]
                else:
                    unready[version.version] = self._failed.get(key, BEING_LOADED)
            routes[model.name] = ModelRoutes(
                ready,
                unready,
                model.default_version,
                model.aliases,
                self._absent.of(model, unready) if unready else {},
                self._traffic.of(model),
            )
        self._router.replace(routes)
        self._changed()

    def metrics_of(self, model: str, version: int) -> VersionMetrics:
        """The counters of a version, ready or not."""
        key = (model, version)
        found = self._metrics.get(key)
        if found is None:
            found = self._metrics[key] = VersionMetrics(model, version)
        return found

    def _policies(self) -> dict[str, ServingPolicy]:
        return {model.name: model.serving for model in self._snapshot.models}

    def _replicas(self) -> dict[str, int]:
        return {model.name: model.replicas for model in self._snapshot.models}

    def _desired(self) -> dict[Key, DesiredVersion]:
        return {
            (version.model, version.version): version
            for model in self._snapshot.models
            for version in model.versions
        }

    def _state(self, key: Key) -> tuple[str, str]:
        if key in self._loading:
            return "loading", ""
        if key in self._failed:
            return "failed", self._failed[key]
        return ("ready", "") if key in self._served else ("failed", "it was not loaded")


async def _awake(residence: Residence) -> None:
    try:
        await residence.wake()
    except AuguriumError as error:
        # whoever asks for it is told as well
        log.error("version not woken", reason=str(error))


async def _end(served: ServedVersion) -> None:
    try:
        await served.drain()
    finally:
        served.close()


def _close(loading: "Future[VersionExecutor]") -> None:
    if not loading.cancelled() and loading.exception() is None:
        loading.result().close()
