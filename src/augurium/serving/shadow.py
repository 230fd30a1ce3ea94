"""Shadow traffic: requests that were answered are asked of another version as well, which nobody
waits for.

A copy is made when the answer is there and begins in the turn of the loop after the one in which
the caller is given it. What there is no room for is dropped, before anything else is refused: a
copy is never worth a request. Copies are in no count of a request, in no cache, and wake nobody.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import structlog

from augurium.core.errors import AuguriumError, ErrorKind, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import HIT, STALE, Answer, InferenceRequest, InferenceResponse
from augurium.serving.active_shadow import ActiveShadow, ShadowedModel
from augurium.serving.described_version import DescribedVersion
from augurium.serving.metrics import VersionMetrics
from augurium.serving.run_threads import run_threads
from augurium.serving.served_version import ServedVersion
from augurium.serving.shadow_copy import (
    Given,
    ShadowCopy,
    counted,
    given,
    outputs_of,
    request_for,
    size_of,
)
from augurium.serving.snapshot import Snapshot
from augurium.serving.spare_capacity import SpareCapacity
from augurium.traffic.shadow_sums import ShadowSums, sums_of

# of a request: others say nothing about a version
TELLING = frozenset({"ok", ErrorKind.MODEL_FAILED, ErrorKind.INTERNAL, ErrorKind.DEADLINE_EXCEEDED})
# copies of one engine, from the request until they are compared
MOST_HELD = 1024
MOST_HELD_BYTES = 32 * 1024 * 1024
# comparisons are made together
GATHER_S = 0.05
FIRST_COMPARE_S = 0.0002
SMOOTHING = 0.2

log = structlog.get_logger()

Find = Callable[[ModelRef], ServedVersion]
MetricsOf = Callable[[str, int], VersionMetrics]


class _Ended(NamedTuple):
    """A request that has ended, and what it came to."""

    request: InferenceRequest
    version: DescribedVersion
    answer: Answer | None
    outcome: str
    seconds: float
    unit: str


_Finished = tuple[ActiveShadow, ShadowCopy, Given]
_Compared = tuple[list[tuple[ActiveShadow, ShadowSums]], float]


class Shadowing:
    """Gives shadows their copies. Lives on the event loop `loop`; `find` gives the version that
    would answer, `metrics` the counters of a version, ready or not.
    """

    def __init__(
        self,
        find: Find,
        metrics: MetricsOf,
        loop: asyncio.AbstractEventLoop,
        room: SpareCapacity,
    ) -> None:
        self.models: Mapping[str, ShadowedModel] = {}
        self._find = find
        self._metrics = metrics
        self._loop = loop
        self._room = room
        self._held = 0
        self._held_bytes = 0
        self._finished: list[_Finished] = []
        self._comparing = False
        # how long it takes to compare one
        self._compare_s = FIRST_COMPARE_S
        self._timer: asyncio.TimerHandle | None = None
        # threads begin with the first copy
        self._runs = run_threads(1, "augurium-shadow")
        self._comparisons = ThreadPoolExecutor(1, "augurium-compare")
        self._stopped = False
        self._idle = asyncio.Event()

    def take(self, snapshot: Snapshot) -> None:
        """Copies what this desired state says, from now on."""
        models = {}
        for model in snapshot.models:
            policy = model.traffic.policy if model.traffic is not None else None
            if policy is None or not policy.shadows:
                continue
            found = models[model.name] = ShadowedModel(
                model.name, policy.shadows, model.default_version
            )
            if model.name in self.models:
                found.keep(self.models[model.name])
        self.models = models

    def stop(self) -> None:
        """Makes no copies any more, and compares none."""
        self._stopped, self.models = True, {}
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Lets go of the threads; when no copy can run any more."""
        self._runs.shutdown(wait=False, cancel_futures=True)
        self._comparisons.shutdown(wait=False, cancel_futures=True)

    async def drain(self) -> None:
        """Returns when every copy is compared, or given up."""
        while self._held:
            self._idle.clear()
            await self._idle.wait()

    @property
    def held(self) -> int:
        """Copies that are not compared yet."""
        return self._held

    def offer(
        self,
        request: InferenceRequest,
        version: DescribedVersion,
        response: InferenceResponse | None,
        outcome: str,
        seconds: float,
        in_flight: int,
    ) -> None:
        """Takes a request that has ended, with its answer if that is the version's own.

        `in_flight` are the requests that the engine works on. Raises nothing and waits for nobody.
        """
        model = request.model
        found = self.models.get(model.name)
        if found is None or outcome not in TELLING or model.version or model.alias:
            return
        answer = response.answer if response is not None and outcome == "ok" else None
        if answer is not None and answer.cache in (HIT, STALE):
            # nothing ran for it, and most such answers do not come this way
            return
        ended = _Ended(
            request, version, answer, outcome, seconds, response.unit if response else ""
        )
        try:
            for active in found.takers(request, ended.unit, version.desired.version):
                self._copy(active, ended, in_flight)
        except Exception:
            # the caller has an answer, whatever is wrong here
            log.exception("no copy for a shadow", model=model.name)

    def _copy(self, active: ActiveShadow, ended: _Ended, in_flight: int) -> None:
        version, baseline = ended.version, ended.version.desired.version
        if not self._room.has_room(in_flight):
            self._drop(active, baseline, "engine_busy")
            return
        began = time.perf_counter()
        size = size_of(ended.request, ended.answer)
        reason = self._reason(active, size)
        if reason:
            self._drop(active, baseline, reason)
            return
        deadline = time.monotonic() + active.shadow.timeout_ms / 1000
        copy = ShadowCopy(
            active.shadow,
            request_for(active.shadow, ended.request, deadline),
            baseline,
            version.signature.batched,
            given(version, ended.answer, ended.outcome, ended.seconds),
            time.time(),
            size,
        )
        active.in_flight += 1
        self._held += 1
        self._held_bytes += size
        self._loop.call_soon(self._begin, active, copy, self._room.now())
        # what comes later is paid for now: many copies at once must not be more than there is
        self._room.spend(time.perf_counter() - began + self._compare_s)

    def _reason(self, active: ActiveShadow, size: int) -> str:
        """Why no copy of this size is made; empty if one is."""
        shadow = active.shadow
        if size > shadow.most_bytes:
            return "large"
        if active.in_flight >= shadow.most_in_flight:
            return "in_flight"
        if self._held >= MOST_HELD or self._held_bytes + size > MOST_HELD_BYTES:
            return "memory"
        return ""

    def _begin(self, active: ActiveShadow, copy: ShadowCopy, asked: float) -> None:
        """Asks the version, in the turn after the caller's answer."""
        began = time.perf_counter()
        self._ask(active, copy, asked)
        self._room.spend(time.perf_counter() - began)

    def _ask(self, active: ActiveShadow, copy: ShadowCopy, asked: float) -> None:
        if self._stopped or self._room.is_late(asked):
            self._give_up(active, copy, "engine_busy")
            return
        version = self._ready(copy.request.model)
        if isinstance(version, str):
            self._give_up(active, copy, version)
            return
        if not active.breaker.admits():
            self._give_up(active, copy, "failing")
            return
        started = time.perf_counter()
        try:
            run = version.copy(copy.request, self._runs)
        except Overloaded:
            active.breaker.ended(None)
            self._give_up(active, copy, "overloaded")
        except AuguriumError as error:
            active.breaker.ended(None)
            self._finish(active, copy, Given(error.kind, {}, 0.0))
        else:
            run.add_done_callback(partial(self._ended, active, copy, version, started))

    def _ready(self, model: ModelRef) -> ServedVersion | str:
        """The version, if it can be asked; else why not."""
        try:
            version = self._find(model)
        except AuguriumError:
            return "not_ready"
        if version.signature.streamed:
            return "streamed"
        if not version.awake:
            return "asleep"
        if version.overloaded:
            return "overloaded"
        return "breaker" if version.guard is not None and version.guard.is_open else version

    def _ended(
        self,
        active: ActiveShadow,
        copy: ShadowCopy,
        version: ServedVersion,
        started: float,
        run: "asyncio.Future[Answer]",
    ) -> None:
        seconds = time.perf_counter() - started
        if run.cancelled():
            active.breaker.ended(None)
            self._give_up(active, copy, "cancelled")
            return
        error = run.exception()
        if isinstance(error, Overloaded):
            active.breaker.ended(None)
            self._give_up(active, copy, "overloaded")
            return
        active.breaker.ended(error is None)
        if error is None:
            outputs = outputs_of(version.signature, run.result())
            self._finish(active, copy, Given("ok", outputs, seconds))
        else:
            kind = error.kind if isinstance(error, AuguriumError) else ErrorKind.INTERNAL
            self._finish(active, copy, Given(kind, {}, seconds))

    def _drop(self, active: ActiveShadow, baseline: int, reason: str) -> None:
        sums = self._sums(active, baseline)
        sums.seen(time.time())
        sums.drop(reason)

    def _give_up(self, active: ActiveShadow, copy: ShadowCopy, reason: str) -> None:
        active.in_flight -= 1
        self._let_go(copy)
        self._drop(active, copy.baseline, reason)

    def _let_go(self, copy: ShadowCopy) -> None:
        self._held -= 1
        self._held_bytes -= copy.size_bytes
        if not self._held:
            self._idle.set()

    def _finish(self, active: ActiveShadow, copy: ShadowCopy, answer: Given) -> None:
        active.in_flight -= 1
        self._finished.append((active, copy, answer))
        if self._timer is None and not self._comparing and not self._stopped:
            self._timer = self._loop.call_later(GATHER_S, self._compare)

    def _compare(self) -> None:
        """Compares what has ended, on a thread."""
        self._timer = None
        batch, self._finished = self._finished, []
        if not batch or self._stopped:
            return
        self._comparing = True
        comparing = self._loop.run_in_executor(self._comparisons, _compared, batch)
        comparing.add_done_callback(partial(self._compared, batch))

    def _compared(
        self,
        batch: list[_Finished],
        comparing: "asyncio.Future[_Compared]",
    ) -> None:
        self._comparing = False
        for _, copy, _ in batch:
            self._let_go(copy)
        if not comparing.cancelled():
            found, seconds = comparing.result()
            self._compare_s += SMOOTHING * (seconds / len(batch) - self._compare_s)
            for active, sums in found:
                self._sums(active, sums.baseline).add(sums)
        self._compare()

    def _sums(self, active: ActiveShadow, baseline: int) -> ShadowSums:
        """Where something is counted now."""
        metrics = self._metrics(active.model, active.shadow.version)
        metrics.changes += 1
        return sums_of(metrics.shadows, baseline, active.shadow.compare)


def _compared(batch: list[_Finished]) -> _Compared:
    """The sums of each shadow and baseline, and how long it took."""
    began = time.thread_time()
    groups: dict[tuple[int, int], list[_Finished]] = {}
    for finished in batch:
        groups.setdefault((id(finished[0]), finished[1].baseline), []).append(finished)
    sums = [(group[0][0], _counted(group)) for group in groups.values()]
    return sums, time.thread_time() - began


def _counted(group: list[_Finished]) -> ShadowSums:
    try:
        return counted([(copy, answer) for _, copy, answer in group])
    except Exception:
        active, copy, _ = group[0]
        log.exception("answers not compared", model=active.model, version=active.shadow.version)
        sums = ShadowSums(copy.baseline, copy.shadow.compare)
        sums.seen(copy.at)
        sums.drop("not_compared", len(group))
        return sums
