"""What variants did lately, in ticks of some seconds: differences of what engines have counted.

Counters never go back, because those of engines that are gone stay in the totals; what an engine
had counted before this control is no news. Durations are of the monotonic clock, so that a wall
clock that is set makes no tick longer.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec
import structlog

from augurium.core.arm_counts import ArmCounts
from augurium.core.clock import Clock
from augurium.serving.metrics import EngineMetrics
from augurium.serving.variant_metrics import VariantMetrics, Variants

TICK_S = 10.0
SHORTEST_S = 1.0
KEPT_S = 3600.0
# variants times ticks, of all models together: about 2 KB each. With more, ticks are kept less long
MOST_KEPT = 20_000
log = structlog.get_logger()


class Arm(NamedTuple):
    """A variant of a model: two versions may be called the same, one after the other."""

    version: int
    variant: str


class Tick(msgspec.Struct, frozen=True):
    """What was counted of a model in the `seconds` before `at`, in seconds of the epoch.

    `number` grows from tick to tick, as long as this control lives. Arms that nobody asked are not
    in it.
    """

    number: int
    at: float
    seconds: float
    counted: dict[Arm, VariantMetrics]

    @property
    def arms(self) -> dict[Arm, ArmCounts]:
        """The counts as a judge takes them."""
        return {arm: arm_counts(metrics) for arm, metrics in self.counted.items()}


def arm_counts(metrics: VariantMetrics) -> ArmCounts:
    """The sums of a variant as a judge takes them."""
    return ArmCounts(
        metrics.requests - metrics.mistakes,
        metrics.errors,
        metrics.slo_breaches,
        metrics.degraded,
        metrics.latency.counts,
        metrics.latency.total,
        metrics.score_count,
        metrics.score_sum,
        metrics.score_squares,
    )


# gathers the counters; what of them is no news
Collect = Callable[[], Awaitable[EngineMetrics]]
Inherited = Callable[[], EngineMetrics]
# is told what all models did
Listener = Callable[[Mapping[str, Tick]], None]
_Sums = dict[tuple[str, int], Variants]


class VariantTicks:
    """The ticks of the last hour. Belongs to one event loop."""

    def __init__(self, collect: Collect, inherited: Inherited, clock: Clock) -> None:
        self._collect = collect
        self._inherited = inherited
        self._clock = clock
        self._began = self._before = clock.monotonic()
        self._known: _Sums = {}
        self._kept: deque[tuple[float, str, Tick]] = deque()
        self._arms = 0
        self._wanted: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Listener) -> None:
        """Who is told of every tick from now on, of all models in which something was asked."""
        self._listeners.append(listener)

    def want(self, model: str, tick_s: float) -> None:
        """Makes ticks of a model as short as `tick_s`, if they are longer, until `release`."""
        self._wanted[model] = max(tick_s, SHORTEST_S)
        self._hurry.set()

    def release(self, model: str) -> None:
        """Nobody wants shorter ticks of a model any more."""
        self._wanted.pop(model, None)

    @property
    def tick_s(self) -> float:
        """How long a tick is now: no shorter than anybody wants."""
        return min([TICK_S, *self._wanted.values()])

    def current(self, tick_s: float = TICK_S) -> int:
        """The number of the tick that is under way: it began before now."""
        return self._number(self._clock.monotonic(), tick_s)

    def of(self, model: str, tick_s: float = TICK_S, after: int = -1) -> list[Tick]:
        """The whole ticks of about `tick_s` with a larger number than `after`, the oldest first.

        Ticks are put together to be so long, and are longer where they were taken less often.
        Models without a traffic policy have none.
        """
        now = self._number(self._before, tick_s)
        mine = ((at, tick) for at, name, tick in self._kept if name == model)
        numbered = [(self._number(at, tick_s), tick) for at, tick in mine]
        return [
            _joined(number, [tick for _, tick in ticks])
            for number, ticks in groupby(numbered, lambda pair: pair[0])
            if after < number < now
        ]

    async def step(self) -> None:
        """Looks what has been counted since the last time, or since the control before this one."""
        totals = await self._collect()
        news = _sums(totals, self._inherited())
        now, known = self._clock.monotonic(), self._known
        seconds, self._before, self._known = now - self._before, now, news
        ticks = {
            model: Tick(0, self._clock.now().timestamp(), seconds, counted)
            for model, counted in _differences(news, known).items()
        }
        for model, tick in ticks.items():
            if model in self._wanted or any(arm.variant for arm in tick.counted):
                # in the middle of it, so that no rounding moves it into the next
                self._keep(now - seconds / 2, model, tick)
        self._forget(now - KEPT_S)
        for listener in self._listeners:
            listener(ticks)

    def start(self) -> None:
        """Looks from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Looks once more, and no more then."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self.step()

    async def _run(self) -> None:
        while True:
            try:
                await self.step()
            except Exception:  # the edge of a task: the next tick has it all
                log.exception("variants not counted")
            await self._pause()

    async def _pause(self) -> None:
        """Until the wall clock shows a multiple of the length of a tick, so that minutes end with
        one; or until somebody wants it shorter.
        """
        self._hurry.clear()
        tick_s = self.tick_s
        left_s = tick_s - self._clock.now().timestamp() % tick_s
        # a timer that was early is not asked again for its last millisecond
        wait_s = left_s if left_s > tick_s / 10 else left_s + tick_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()

    def _number(self, at: float, tick_s: float) -> int:
        return int((at - self._began) // tick_s)

    def _keep(self, at: float, model: str, tick: Tick) -> None:
        self._kept.append((at, model, tick))
        self._arms += len(tick.counted)

    def _forget(self, before: float) -> None:
        while self._kept and (self._kept[0][0] < before or self._arms > MOST_KEPT):
            self._arms -= len(self._kept.popleft()[2].counted)


def _joined(number: int, ticks: Sequence[Tick]) -> Tick:
    counted: dict[Arm, VariantMetrics] = {}
    for tick in ticks:
        for arm, metrics in tick.counted.items():
            counted.setdefault(arm, VariantMetrics()).add(metrics)
    return Tick(number, ticks[-1].at, sum(tick.seconds for tick in ticks), counted)


def _sums(totals: EngineMetrics, inherited: EngineMetrics) -> _Sums:
    found = {(version.model, version.version): version.variants for version in totals.versions}
    for version in inherited.versions:
        key = (version.model, version.version)
        variants = found.get(key, {})
        found[key] = variants | {
            name: variants[name].since(metrics)
            for name, metrics in version.variants.items()
            if name in variants
        }
    return found


def _differences(news: _Sums, known: _Sums) -> dict[str, dict[Arm, VariantMetrics]]:
    found: dict[str, dict[Arm, VariantMetrics]] = {}
    for (model, version), variants in news.items():
        before = known.get((model, version), {})
        for name, metrics in variants.items():
            earlier = before.get(name)
            if earlier is not None and earlier.outcomes == metrics.outcomes:
                # of a thousand models most are idle
                continue
            since = metrics if earlier is None else metrics.since(earlier)
            if since.outcomes:
                found.setdefault(model, {})[Arm(version, name)] = since
    return found
