"""Files that arrive for schedules: noticed by listing, each given to one run."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from augurium.batch.arrivals import arrived, folder_of, share_of_one_job
from augurium.batch.templates import fill
from augurium.core.batch_schedule import Arrival, Interval
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError
from augurium.core.time_zones import time_zone
from augurium.registry.batch_schedule_records import ArrivedFile, BatchSchedule, RunDraft
from augurium.registry.batch_schedule_store import BatchScheduleStore


class Places(Protocol):
    """Where files arrive. Blocks; raises what it cannot read."""

    def files(self, path: str) -> Sequence[ArrivedFile]:
        """The files of a folder or a glob; none where there is nothing yet."""
        ...

    def has(self, location: str) -> bool:
        """Whether there is a file."""
        ...


class _Look:
    """What the last listing of a schedule found, and when the next one is."""

    def __init__(self, next_at: float) -> None:
        self.next_at = next_at
        self.found: dict[str, str] = {}
        self.error: AuguriumError | None = None


class BatchArrivals:
    """Looks for new files of schedules; what a listing found is known to this control alone."""

    def __init__(self, store: BatchScheduleStore, places: Places, clock: Clock) -> None:
        self._store = store
        self._places = places
        self._clock = clock
        self._looks: dict[str, _Look] = {}

    def forget(self, but: Sequence[BatchSchedule]) -> None:
        """Remembers no listings but those of these schedules."""
        known = {schedule.id for schedule in but}
        self._looks = {key: look for key, look in self._looks.items() if key in known}

    async def claim(self, schedule: BatchSchedule, arrival: Arrival, now: datetime) -> None:
        """Lists when it is time, and writes down a run of what has arrived.

        Raises Conflict where another control was earlier, and what the newest listing raised.
        """
        monotonic = self._clock.monotonic()
        look = self._looks.setdefault(schedule.id, _Look(monotonic))
        if monotonic >= look.next_at:
            look.next_at, look.error = monotonic + arrival.poll_s, None
            try:
                await asyncio.to_thread(self._look, schedule, arrival, look, now)
            except AuguriumError as error:
                look.error = error
        if look.error is not None:
            # until the next listing nothing else is known
            raise look.error

    def _look(self, schedule: BatchSchedule, arrival: Arrival, look: _Look, now: datetime) -> None:
        found = self._listed(schedule, now)
        before, look.found = look.found, {file.location: file.identity for file in found}
        new = self._store.unseen(schedule.name, found)
        marked = self._marked(new, arrival.marker) if arrival.marker else None
        complete = share_of_one_job(arrived(new, before, marked))
        if complete:
            start = min(schedule.through, now)
            draft = RunDraft(kind="arrival", start=start, end=now)
            self._store.claim_files(schedule, draft, complete)

    def _listed(self, schedule: BatchSchedule, now: datetime) -> Sequence[ArrivedFile]:
        zone, moment = time_zone(schedule.spec.timezone), Interval(now, now)
        paths = [
            fill(path, moment, zone, schedule.runs + 1) for path in schedule.spec.job.input.paths
        ]
        return [file for path in paths for file in self._places.files(path)]

    def _marked(self, files: frozenset[ArrivedFile], marker: str) -> frozenset[str]:
        folders = {folder_of(file) for file in files}
        return frozenset(one for one in folders if self._places.has(f"{one}/{marker}"))
