"""Schedules of batch jobs: what people ask of them, and the loop that carries them out."""

import asyncio
import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from augurium.batch.due import begun_between, through_of, upcoming
from augurium.batch.moments import span_of
from augurium.batch.schedule_check import check_spec
from augurium.control.batch_arrivals import BatchArrivals
from augurium.control.batch_claims import BatchClaims
from augurium.control.batch_notices import BatchNotice, notice
from augurium.control.batch_runs import BatchRuns
from augurium.control.batch_schedule_metrics import ScheduleFacts
from augurium.control.clock_watch import ClockWatch
from augurium.core.batch_schedule import BatchScheduleSpec, Interval
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument, NotFound
from augurium.registry.batch_schedule_records import BatchRun, BatchSchedule, RunDraft
from augurium.registry.batch_schedule_store import BatchScheduleStore

TURN_S = 1.0
MOST_ORDERED = 1000
SHOWN = 5
log = structlog.get_logger()


class BatchSchedules:
    """The schedules of this registry, looked after by this node as by every other one of it.

    Belongs to one event loop.
    """

    def __init__(
        self,
        store: BatchScheduleStore,
        runs: BatchRuns,
        arrivals: BatchArrivals,
        tell: Callable[[BatchNotice], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self.store = store
        self._runs = runs
        self._arrivals = arrivals
        self._claims = BatchClaims(store)
        self._tell = tell
        self._clock = clock
        self._watch = ClockWatch(clock)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._problem = ""
        self._ended: Counter[tuple[str, str]] = Counter()
        self._late_s: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks after schedules from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leaves everything as it is; whoever starts next goes on."""
        tasks = [*self._busy.values(), *self._telling.values()]
        tasks += [self._task] if self._task else []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def create(
        self, name: str, spec: BatchScheduleSpec, actor: str, anew: bool = False
    ) -> BatchSchedule:
        """Keeps a schedule; its first run is for the interval that is under way. With `anew` one of
        this name is changed.

        Raises InvalidArgument for one that cannot be, NotFound for an unknown model, and Conflict
        for a name that is taken.
        """
        now = self._clock.now()
        await asyncio.to_thread(check_spec, spec, now)
        known = await self._known(name) if anew else None
        through = self._begin(spec, now)
        if known and (known.spec.cron, known.spec.timezone) == (spec.cron, spec.timezone):
            through = known.through
        return await asyncio.to_thread(self.store.create, name, spec, through, actor, anew)

    async def pause(self, name: str, actor: str) -> BatchSchedule:
        """Begins no more jobs; the one that runs goes on. Raises NotFound."""
        return await asyncio.to_thread(self.store.pause, name, actor)

    async def resume(self, name: str, actor: str) -> BatchSchedule:
        """Lets it go on: with catch-up with what it has missed, otherwise with what comes next."""
        known = await asyncio.to_thread(self.store.get, name)
        later = known.spec.cron and not known.spec.catch_up
        through = self._begin(known.spec, self._clock.now()) if later else known.through
        return await asyncio.to_thread(self.store.resume, name, through, actor)

    async def delete(self, name: str, actor: str) -> None:
        """Forgets a schedule and its runs; a job that runs goes on. Raises NotFound."""
        await asyncio.to_thread(self.store.delete, name, actor)

    async def order(
        self, name: str, actor: str, span: tuple[str, str], again: bool = False
    ) -> tuple[Sequence[BatchRun], int]:
        """Runs what a person wants: the intervals that begin from the first to the last of two days
        or times, or the newest that has ended if both are empty. Returns the runs, and how many
        intervals were left out because they had theirs; `again` leaves none out.

        Raises NotFound, InvalidArgument for a span that is none or in which no interval has ended,
        and Conflict for a schedule without intervals.
        """
        known = await asyncio.to_thread(self.store.get, name)
        if not known.spec.cron:
            raise Conflict(
                f"schedule '{known.name}' runs when files arrive and has no intervals; submit a"
                " job for what you want with `augurium batch run`"
            )
        intervals = await asyncio.to_thread(self._wanted, known, span)
        drafts = [RunDraft(kind="ordered", start=one.start, end=one.end) for one in intervals]
        runs = await asyncio.to_thread(self.store.order, name, drafts, actor, again)
        return runs, len(drafts) - len(runs)

    def upcoming(self, schedule: BatchSchedule, count: int = SHOWN) -> tuple[Interval, ...]:
        """The intervals of its next runs; none for one that is paused, or runs on arrival."""
        spec = schedule.spec
        if schedule.paused or not spec.cron:
            return ()
        try:
            cron = self._claims.cron(spec.cron, spec.timezone)
        except AuguriumError:
            # of a zone that this machine does not know; the loop says so
            return ()
        return upcoming(cron, schedule.through, count)

    def problem(self, schedule: BatchSchedule) -> str:
        """What it waits for, empty for nothing."""
        return self._problems.get(schedule.id, "")

    @property
    def facts(self) -> ScheduleFacts:
        """What is known as of the last turn, for metrics."""
        return ScheduleFacts(dict(self._ended), self._late_s)

    async def turn(self) -> None:
        """Looks at every schedule once; what takes long goes on beside the next turns."""
        now = self._watch.now()
        schedules = await asyncio.to_thread(self.store.find)
        runs = await self._open_runs()
        self._arrivals.forget(schedules)
        self._claims.forget(schedules)
        self._late_s = {one.name: self._late(one, runs[one.name]) for one in schedules}
        for schedule in schedules:
            due = now is not None and self._is_due(schedule, now)
            if schedule.id not in self._busy and (due or runs[schedule.name]):
                work = self._look_after(schedule, runs[schedule.name], now if due else None)
                task = self._busy[schedule.id] = asyncio.create_task(work)
                task.add_done_callback(functools.partial(self._done, schedule.id))
        await self._tell_ends()

    async def settled(self) -> None:
        """Returns when nothing of what earlier turns began goes on."""
        while begun := [*self._busy.values(), *self._telling.values()]:
            await asyncio.wait(begun)

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
                self._problem = ""
            except AuguriumError as error:
                if str(error) != self._problem:
                    log.warning("schedules wait", reason=str(error))
                self._problem = str(error)
            except Exception:  # the edge of a task: the next turn tries again
                log.exception("schedules not looked after")
            await asyncio.sleep(TURN_S)

    def _late(self, schedule: BatchSchedule, runs: Sequence[BatchRun]) -> float:
        """Seconds since the oldest of what is due should have begun."""
        ends = [run.end if run.kind == "interval" else run.created_at for run in runs]
        with contextlib.suppress(AuguriumError):
            next_end = None if schedule.paused else self._claims.next_end(schedule)
            ends += [] if next_end is None else [next_end]
        now = self._clock.now()
        return max(0.0, (now - min(ends, default=now)).total_seconds())

    def _done(self, schedule: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(schedule, None)

    def _is_due(self, schedule: BatchSchedule, now: datetime) -> bool:
        try:
            return not schedule.paused and self._claims.due(schedule, now)
        except AuguriumError as error:
            self._waits(schedule, error)
            return False

    def _waits(self, schedule: BatchSchedule, error: AuguriumError) -> None:
        if str(error) != self._problems.get(schedule.id):
            log.warning("schedule waits", schedule=schedule.name, reason=str(error))
        self._problems[schedule.id] = str(error)

    async def _look_after(
        self, schedule: BatchSchedule, runs: Sequence[BatchRun], now: datetime | None
    ) -> None:
        try:
            still_open = await self._runs.follow(schedule, runs)
            if now is not None:
                await self._claim(schedule, still_open, now)
            self._problems.pop(schedule.id, None)
        except Conflict:
            # another control was earlier; the next turn sees what it did
            self._problems.pop(schedule.id, None)
        except AuguriumError as error:
            self._waits(schedule, error)
        except Exception:  # the edge of a task: others go on, and the next turn tries again
            log.exception("schedule not looked after", schedule=schedule.name)

    async def _claim(
        self, schedule: BatchSchedule, runs: Sequence[BatchRun], now: datetime
    ) -> None:
        arrival = schedule.spec.arrival
        if arrival is None:
            await self._claims.claim(schedule, runs, now)
        elif not runs:
            # what arrives while a job runs goes into the next one
            await self._arrivals.claim(schedule, arrival, now)

    async def _open_runs(self) -> dict[str, list[BatchRun]]:
        found: dict[str, list[BatchRun]] = defaultdict(list)
        for run in await asyncio.to_thread(self.store.open_runs):
            found[run.schedule].append(run)
        return found

    async def _tell_ends(self) -> None:
        for run in await asyncio.to_thread(self.store.untold):
            if run.id not in self._telling:
                self._ended[run.schedule, run.state] += 1
                task = self._telling[run.id] = asyncio.create_task(self._tell_end(run))
                task.add_done_callback(functools.partial(self._told, run.id))

    async def _tell_end(self, run: BatchRun) -> None:
        """Tells, then writes down that it did: a control that dies in between, or another one that
        looks in between, tells it too, under the same id.
        """
        await self._tell(notice(run))
        # what cannot be written down now is told again
        with contextlib.suppress(AuguriumError):
            await asyncio.to_thread(self.store.tell, [run])

    def _told(self, run: str, task: asyncio.Task[None]) -> None:
        self._telling.pop(run, None)

    async def _known(self, name: str) -> BatchSchedule | None:
        with contextlib.suppress(NotFound):
            return await asyncio.to_thread(self.store.get, name)
        return None

    def _begin(self, spec: BatchScheduleSpec, now: datetime) -> datetime:
        if not spec.cron:
            return now
        return through_of(self._claims.cron(spec.cron, spec.timezone), now)

    def _wanted(self, schedule: BatchSchedule, span: tuple[str, str]) -> list[Interval]:
        cron = self._claims.cron(schedule.spec.cron, schedule.spec.timezone)
        now = self._clock.now()
        if span == ("", ""):
            return [Interval(*cron.newest(now, 2))]
        begin, stop = span_of(span, cron.zone)
        found = begun_between(cron, begin, stop, now, MOST_ORDERED)
        if len(found) > MOST_ORDERED:
            raise InvalidArgument(
                f"more than {MOST_ORDERED} intervals begin in this while; ask for a shorter one"
            )
        if not found:
            raise InvalidArgument(
                f"no interval of '{schedule.name}' begins from {span[0]} to {span[1]} and has ended"
                " by now; see `augurium batch schedule next` for when it runs"
            )
        return found
