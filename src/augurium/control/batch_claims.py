"""What of a schedule has become due by the clock, claimed by one control of several."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from augurium.batch.cron import Cron
from augurium.batch.due import Due, due, through_of
from augurium.registry.batch_schedule_records import BatchRun, BatchSchedule, RunDraft, RunState
from augurium.registry.batch_schedule_store import MOST_LISTED, BatchScheduleStore

# clocks of several machines differ by less
REWOUND = timedelta(minutes=5)
log = structlog.get_logger()


class BatchClaims:
    """Writes down runs of intervals that have ended, and intervals that got none."""

    def __init__(self, store: BatchScheduleStore) -> None:
        self._store = store
        self._crons: dict[tuple[str, str], Cron] = {}
        # by schedule: at which revision of it, and the end of its next interval
        self._next: dict[str, tuple[int, datetime]] = {}

    def cron(self, text: str, zone: str) -> Cron:
        """A cron expression; those that were read are kept."""
        known = self._crons.get((text, zone))
        if known is None:
            if len(self._crons) >= MOST_LISTED:
                self._crons.clear()
            known = self._crons[text, zone] = Cron(text, zone)
        return known

    def forget(self, but: Sequence[BatchSchedule]) -> None:
        """Remembers no times but those of these schedules."""
        known = {schedule.id for schedule in but}
        self._next = {key: end for key, end in self._next.items() if key in known}

    def due(self, schedule: BatchSchedule, now: datetime) -> bool:
        """Whether there may be something to claim. Raises as `cron`."""
        next_end = self.next_end(schedule)
        return next_end is None or now >= next_end or schedule.through - now > REWOUND

    def next_end(self, schedule: BatchSchedule) -> datetime | None:
        """When its next interval ends; None for one on arrival. Raises as `cron`."""
        spec = schedule.spec
        if not spec.cron:
            return None
        known = self._next.get(schedule.id)
        if known is None or known[0] != schedule.revision:
            end = next(self.cron(spec.cron, spec.timezone).after(schedule.through))
            known = self._next[schedule.id] = (schedule.revision, end)
        return known[1]

    async def claim(
        self, schedule: BatchSchedule, open_runs: Sequence[BatchRun], now: datetime
    ) -> None:
        """Raises Conflict where another control was earlier."""
        spec = schedule.spec
        cron = self.cron(spec.cron, spec.timezone)
        if schedule.through - now > REWOUND:
            log.warning("the clock went back", schedule=schedule.name, through=schedule.through)
            await asyncio.to_thread(self._rewind, schedule, through_of(cron, now), now)
            return
        # what was ordered does not hinder what is due: it comes before it
        busy = any(run.kind == "interval" for run in open_runs)
        if busy and spec.overlap == "wait":
            return
        found = due(cron, schedule.through, now, spec.most_catch_up if spec.catch_up else 1)
        if found.runs:
            await asyncio.to_thread(self._write, schedule, cron, found, now, busy)

    def _write(
        self, schedule: BatchSchedule, cron: Cron, found: Due, now: datetime, busy: bool
    ) -> None:
        if found.missed is not None:
            # behind a control whose clock is slow, much of it had its run before the rewind
            runs = self._store.runs(schedule.name, MOST_LISTED)
            ends = [run.end for run in runs if run.kind == "interval"]
            dealt_with = [end for end in ends if schedule.through < end <= found.missed.end]
            if dealt_with:
                found = due(cron, max(dealt_with), now, len(found.runs))
        drafts = [*_missed(found), *_runs(found, busy)]
        self._store.claim(schedule, found.runs[-1].end, drafts)

    def _rewind(self, schedule: BatchSchedule, through: datetime, now: datetime) -> None:
        """The clock was ahead: what it passed over comes again. What it made run has its run."""
        runs = self._store.runs(schedule.name, MOST_LISTED)
        begins = [run.start for run in runs if run.kind == "interval" and run.end > now]
        self._store.claim(schedule, min([through, *begins]), ())


def _missed(found: Due) -> list[RunDraft]:
    if found.missed is None:
        return []
    count = found.missed_count
    number = f"{count} or more" if count >= MOST_LISTED else str(count)
    reason = (
        f"{number} {'interval' if count == 1 else 'intervals'} ended while no job could begin, and"
        " only the newest are made up for; `augurium batch schedule run --for` runs others"
    )
    start, end = found.missed
    return [
        RunDraft(kind="interval", start=start, end=end, state="missed", reason=reason, count=count)
    ]


def _runs(found: Due, busy: bool) -> list[RunDraft]:
    state: RunState = "skipped" if busy else "waiting"
    reason = "the job of the interval before was not done yet" if busy else ""
    return [
        RunDraft(kind="interval", start=run.start, end=run.end, state=state, reason=reason)
        for run in found.runs
    ]
