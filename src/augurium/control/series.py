"""What variants did over time, by the minute, the hour and the day, written to the database once a
minute.

Hours and days are summed up from the same ticks as minutes, not from their rows, and every row says
who counted: a row is written again as it grows, as often as it takes, and whoever comes after a
restart writes rows of its own. So nothing counts twice, and a database that is away delays rows.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from augurium.control.variant_ticks import Tick
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError
from augurium.core.rollout_settings import SeriesSettings
from augurium.registry.variant_series import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    STEPS_S,
    SeriesRow,
    VariantSeries,
)
from augurium.serving.variant_metrics import VariantMetrics
from augurium.statistics.log_histogram import packed, unpacked

RETRY_S = 5.0
# how long a step may still grow after it has ended
GRACE_S = 60
# of a database that is away for long: the minutes leave first, their hours have them too
MOST_ROWS = 50_000
ROWS_AT_ONCE = 1000
log = structlog.get_logger()


class Point(NamedTuple):
    """A variant in the step that begins `at`, in seconds of the epoch."""

    at: int
    version: int
    variant: str


class _Key(NamedTuple):
    step_s: int
    at: int
    model: str
    version: int
    variant: str
    source: str


class Series:
    """Sums up ticks, and keeps the sums. Belongs to one event loop."""

    def __init__(self, store: VariantSeries, clock: Clock, settings: SeriesSettings) -> None:
        self._store = store
        self._clock = clock
        self._keep_s = {
            MINUTE_S: settings.keep_minutes_s,
            HOUR_S: settings.keep_hours_s,
            DAY_S: settings.keep_days_s,
        }
        self._source = uuid.uuid4().hex
        self._rows: dict[_Key, VariantMetrics] = {}
        self._unwritten: set[_Key] = set()
        # the newest steps of which rows have left the memory, by the length of a step
        self._closed = dict.fromkeys(STEPS_S, -1)
        self._swept = -HOUR_S
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, ticks: Mapping[str, Tick]) -> None:
        """Adds what models did."""
        for model, tick in ticks.items():
            # its middle says to which step most of it belongs
            middle = int(tick.at - tick.seconds / 2)
            for step_s in STEPS_S:
                at = middle - middle % step_s
                for arm, metrics in tick.counted.items():
                    key = _Key(step_s, at, model, arm.version, arm.variant, self._source)
                    self._row(key).add(metrics)
        if len(self._rows) > MOST_ROWS:
            self._shed()

    async def read(
        self, model: str, step_s: int, start: int, end: int
    ) -> dict[Point, VariantMetrics]:
        """What a model's variants did in the steps that begin from `start` until before `end`, the
        newest as far as it is known. Raises as `VariantSeries`.
        """
        fresh = {
            key: metrics
            for key, metrics in self._rows.items()
            if (key.model, key.step_s) == (model, step_s) and start <= key.at < end
        }
        # of which the database has an earlier state
        known = [_row(key, metrics) for key, metrics in fresh.items()]
        kept = await asyncio.to_thread(self._store.read, model, step_s, start, end)
        found: dict[Point, VariantMetrics] = {}
        for row in [*(row for row in kept if _key(row) not in fresh), *known]:
            point = Point(row.at, row.version, row.variant)
            found.setdefault(point, VariantMetrics()).add(_metrics(row))
        return dict(sorted(found.items()))

    async def flush(self) -> bool:
        """Writes what has grown; False if that could not be: it is tried again."""
        while self._unwritten:
            # hours and days first; and the loop is not held up by thousands at a time
            keys = sorted(self._unwritten, key=lambda key: (-key.step_s, key))[:ROWS_AT_ONCE]
            try:
                await self._write(keys)
            except AuguriumError as error:
                log.warning("series not written", rows=len(self._unwritten), reason=str(error))
                return False
        self._close()
        return await self._sweep()

    async def _write(self, keys: Sequence[_Key]) -> None:
        rows = [_row(key, self._rows[key]) for key in keys]
        # what is counted meanwhile is written with the next
        self._unwritten.difference_update(keys)
        written = False
        try:
            await asyncio.to_thread(self._store.write, rows)
            written = True
        finally:
            if not written:
                self._unwritten.update(key for key in keys if key in self._rows)

    def start(self) -> None:
        """Writes from now on."""
        self._ending.clear()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Writes what there is, and no more then."""
        if self._task is not None:
            # not cancelled: a thread that writes would go on, and might be overtaken
            self._ending.set()
            await self._task
            await self.flush()

    async def _run(self) -> None:
        written = True
        while True:
            now = self._clock.now().timestamp()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MINUTE_S - now % MINUTE_S if written else RETRY_S):
                    await self._ending.wait()
                    return
            try:
                written = await self.flush()
            except Exception:  # the edge of a task: what was not written is tried again
                log.exception("series not written")
                written = False

    def _row(self, key: _Key) -> VariantMetrics:
        if key not in self._rows and key.at <= self._closed[key.step_s]:
            # the clock was set back, or this loop stood still: a row that is written and forgotten
            # must not be written again with less
            self._source = uuid.uuid4().hex
            self._closed = dict.fromkeys(STEPS_S, -1)
            key = key._replace(source=self._source)
        self._unwritten.add(key)
        return self._rows.setdefault(key, VariantMetrics())

    def _close(self) -> None:
        """Forgets what is written and grows no more."""
        now = self._clock.now().timestamp()
        over = [
            key
            for key in self._rows
            if key.at + key.step_s + GRACE_S <= now and key not in self._unwritten
        ]
        for key in over:
            self._forget(key)

    def _shed(self) -> None:
        minutes = sorted(key for key in self._rows if key.step_s == MINUTE_S)
        old = minutes[: len(self._rows) - MOST_ROWS // 2]
        for key in old:
            self._forget(key)
        log.error("minutes of the series lost, because they cannot be written", rows=len(old))

    def _forget(self, key: _Key) -> None:
        del self._rows[key]
        self._unwritten.discard(key)
        if key.source == self._source:
            self._closed[key.step_s] = max(self._closed[key.step_s], key.at)

    async def _sweep(self) -> bool:
        """Drops what is older than it is kept, once an hour; every node does."""
        now = int(self._clock.now().timestamp())
        if now - self._swept < HOUR_S:
            return True
        try:
            for step_s, keep_s in self._keep_s.items():
                if keep_s:
                    await asyncio.to_thread(self._store.drop, step_s, now - int(keep_s))
        except AuguriumError as error:
            log.warning("old series not dropped", reason=str(error))
            return False
        self._swept = now
        return True


def _key(row: SeriesRow) -> _Key:
    return _Key(row.step_s, row.at, row.model, row.version, row.variant, row.source)


def _row(key: _Key, metrics: VariantMetrics) -> SeriesRow:
    return SeriesRow(
        **key._asdict(),
        outcomes=dict(metrics.outcomes),
        slo_breaches=metrics.slo_breaches,
        degraded=metrics.degraded,
        latency=packed(metrics.latency),
        latency_s=metrics.latency.total,
        score_count=metrics.score_count,
        score_sum=metrics.score_sum,
        score_squares=metrics.score_squares,
    )


def _metrics(row: SeriesRow) -> VariantMetrics:
    return VariantMetrics(
        row.outcomes,
        row.slo_breaches,
        row.degraded,
        unpacked(row.latency, row.latency_s),
        row.score_count,
        row.score_sum,
        row.score_squares,
    )
