"""The store of schedules of batch jobs in memory: for tests and throw-away servers."""

import threading
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.clock import Clock
from augurium.registry import batch_schedule_store as rules
from augurium.registry.batch_schedule_records import (
    ArrivedFile,
    BatchRun,
    BatchSchedule,
    RunDraft,
    RunState,
)
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.registry import Sees
from augurium.registry.rules import check_live


class MemoryBatchSchedules:
    """Keeps everything until the process ends; the registry has the models and the audit log."""

    def __init__(self, registry: MemoryRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.RLock()
        self._schedules: dict[str, BatchSchedule] = {}
        self._runs: dict[str, list[BatchRun]] = {}
        # the number of the run by the digest of a file, and where that is
        self._arrivals: dict[str, dict[bytes, tuple[int, str]]] = {}

    def create(
        self, name: str, spec: BatchScheduleSpec, through: datetime, actor: str, anew: bool = False
    ) -> BatchSchedule:
        rules.check_schedule(name, spec)
        with self._lock:
            check_live(self._registry.model(spec.job.model))
            known = self._schedules.get(name)
            if known is None:
                rules.check_count(len(self._schedules))
            at = (self._clock.now(), through)
            schedule = rules.created(known, name, spec, at, actor, anew)
            self._schedules[name] = schedule
            if known is None:
                self._runs[name], self._arrivals[name] = [], {}
            action = "change_batch_schedule" if known else "create_batch_schedule"
            self._registry.note(actor, action, rules.details_of(schedule), schedule.model)
            return schedule

    def get(self, name: str) -> BatchSchedule:
        with self._lock:
            if name not in self._schedules:
                raise rules.schedule_not_found(name)
            return self._schedules[name]

    def find(self, model: str | None = None, sees: Sees | None = None) -> Sequence[BatchSchedule]:
        with self._lock:
            found = sorted(self._schedules.values(), key=lambda one: one.name)
        return [
            one for one in found if model in (None, one.model) and (sees is None or sees(one.model))
        ]

    def pause(self, name: str, actor: str) -> BatchSchedule:
        return self._rest(name, actor, True)

    def resume(self, name: str, through: datetime, actor: str) -> BatchSchedule:
        return self._rest(name, actor, False, through)

    def delete(self, name: str, actor: str) -> None:
        with self._lock:
            schedule = self.get(name)
            for kept in (self._schedules, self._runs, self._arrivals):
                del kept[name]
            details = {"schedule": name}
            self._registry.note(actor, "delete_batch_schedule", details, schedule.model)

    def claim(
        self, schedule: BatchSchedule, through: datetime, drafts: Sequence[RunDraft]
    ) -> Sequence[BatchRun]:
        with self._lock:
            known = self._seen(schedule)
            return self._write(replace(known, through=through), drafts, known.actor)

    def claim_files(
        self, schedule: BatchSchedule, draft: RunDraft, files: Sequence[ArrivedFile]
    ) -> BatchRun | None:
        with self._lock:
            known = self._seen(schedule)
            new = self.unseen(known.name, files)
            if not new:
                return None
            after = replace(known, through=draft.end)
            (run,) = self._write(after, (draft,), known.actor, files=len(new))
            for file in new:
                place = (run.number, file.location)
                self._arrivals[known.name][rules.digest_of(file)] = place
            return run

    def unseen(self, name: str, files: Collection[ArrivedFile]) -> frozenset[ArrivedFile]:
        with self._lock:
            seen = self._arrivals.get(name, {})
            return frozenset(file for file in files if rules.digest_of(file) not in seen)

    def order(
        self, name: str, drafts: Sequence[RunDraft], actor: str, again: bool = False
    ) -> Sequence[BatchRun]:
        with self._lock:
            known = self.get(name)
            runs = self._write(known, drafts, actor, again)
            if runs:
                details = rules.ordered_details(known, runs)
                self._registry.note(actor, "run_batch_schedule", details, known.model)
            return runs

    def runs(self, name: str, limit: int = 100, before: int | None = None) -> Sequence[BatchRun]:
        rules.check_listed(limit)
        with self._lock:
            self.get(name)
            found = [run for run in self._runs[name] if before is None or run.number < before]
        return found[::-1][:limit]

    def open_runs(self) -> Sequence[BatchRun]:
        return [run for run in self._every_run() if run.open]

    def files(self, run: BatchRun) -> Sequence[str]:
        with self._lock:
            places = self._arrivals.get(run.schedule, {}).values()
        return sorted(location for number, location in places if number == run.number)

    def move(self, run: BatchRun, state: RunState, job: str = "", reason: str = "") -> bool:
        with self._lock:
            runs = self._runs.get(run.schedule, [])
            for place, known in enumerate(runs):
                if (known.id, known.state) == (run.id, run.state):
                    runs[place] = rules.moved(known, state, job, reason, self._clock.now())
                    return True
        return False

    def untold(self) -> Sequence[BatchRun]:
        found = [run for run in self._every_run() if not run.told and not run.open]
        return found[: rules.MOST_LISTED]

    def tell(self, runs: Sequence[BatchRun]) -> None:
        told = {run.id for run in runs}
        with self._lock:
            for known in self._runs.values():
                known[:] = [replace(one, told=one.told or one.id in told) for one in known]

    def _every_run(self) -> list[BatchRun]:
        with self._lock:
            every = [run for runs in self._runs.values() for run in runs]
        return sorted(every, key=lambda run: (run.created_at, run.number))

    def _seen(self, schedule: BatchSchedule) -> BatchSchedule:
        known = self.get(schedule.name)
        rules.check_current(known, schedule)
        return known

    def _write(
        self,
        schedule: BatchSchedule,
        drafts: Iterable[RunDraft],
        actor: str,
        again: bool = False,
        files: int = 0,
    ) -> Sequence[BatchRun]:
        written: list[BatchRun] = []
        runs = self._runs[schedule.name]
        for draft in drafts:
            had_job = {run.interval for run in runs if rules.had_job(run)}
            if not again and draft.state != "missed" and draft.interval in had_job:
                continue
            run = rules.run_of(schedule, draft, self._clock.now(), actor)
            run = replace(run, files=files)
            schedule = replace(schedule, runs=run.number)
            runs.append(run)
            written.append(run)
        oldest = schedule.runs - rules.MOST_RUNS
        runs[:] = [run for run in runs if run.number > oldest or not run.told]
        self._schedules[schedule.name] = replace(schedule, revision=schedule.revision + 1)
        return written

    def _rest(
        self, name: str, actor: str, paused: bool, through: datetime | None = None
    ) -> BatchSchedule:
        with self._lock:
            known = self.get(name)
            if known.paused == paused:
                return known
            after = replace(
                known,
                paused=paused,
                through=through or known.through,
                revision=known.revision + 1,
            )
            self._schedules[name] = after
            action = "pause_batch_schedule" if paused else "resume_batch_schedule"
            self._registry.note(actor, action, {"schedule": name}, after.model)
            return after
