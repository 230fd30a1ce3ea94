"""The store of batch jobs in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from augurium.core.clock import Clock
from augurium.registry import batch_rules as rules
from augurium.registry.batch_records import (
    BatchDraft,
    BatchJob,
    BatchProgress,
    CommittedPartition,
    JobPlan,
    JobState,
    Level,
    LogLine,
    Wanted,
)
from augurium.registry.batch_store import MOST_LINES, MOST_LISTED
from augurium.registry.draft_limits import check_actor
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.registry import Sees
from augurium.registry.rules import check_live


class MemoryBatchJobs:
    """Keeps everything until the process ends; the registry has the models and the audit log."""

    def __init__(self, registry: MemoryRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.RLock()
        self._newest_job = 0
        self._newest_line = 0
        self._jobs: dict[str, BatchJob] = {}
        self._plans: dict[str, JobPlan] = {}
        self._partitions: dict[str, dict[int, bytes]] = {}
        self._reports: dict[str, bytes] = {}
        self._lines: dict[str, list[LogLine]] = {}
        registry.spare(self._in_use)

    def submit(self, draft: BatchDraft, actor: str) -> BatchJob:
        rules.check_batch_draft(draft)
        with self._changing(actor):
            first = self._submitted_before(draft)
            if first is not None:
                return first
            self._check_version(draft.spec.model, draft.version)
            self._newest_job += 1
            job = rules.submitted(draft, self._newest_job, self._clock.now(), actor)
            self._partitions[job.id], self._lines[job.id] = {}, []
            return self._kept(job, "submit_batch_job", actor)

    def submitted(self, draft: BatchDraft) -> BatchJob | None:
        with self._lock:
            return self._submitted_before(draft)

    def get(self, job: str) -> BatchJob:
        with self._lock:
            if job not in self._jobs:
                raise rules.job_not_found(job)
            return self._jobs[job]

    def find(
        self,
        model: str | None = None,
        states: Collection[JobState] = (),
        schedule: str | None = None,
        limit: int = 100,
        before: int | None = None,
        sees: Sees | None = None,
    ) -> Sequence[BatchJob]:
        rules.check_listed(limit)
        with self._lock:
            newest_first = sorted(self._jobs.values(), key=lambda job: -job.number)
        return [
            job
            for job in newest_first
            if model in (None, job.model)
            and (not states or job.state in states)
            and schedule in (None, job.schedule)
            and (before is None or job.number < before)
            and (sees is None or sees(job.model))
        ][:limit]

    def want(self, job: str, wanted: Wanted, actor: str) -> BatchJob:
        with self._changing(actor):
            known = self.get(job)
            changed = rules.wished(known, wanted, self._clock.now())
            return known if changed is known else self._kept(changed, rules.ACTIONS[wanted], actor)

    def retry(self, job: str, actor: str) -> BatchJob:
        with self._changing(actor):
            changed = rules.retried(self.get(job))
            self._check_version(changed.model, changed.version)
            return self._kept(changed, "retry_batch_job", actor)

    def claim(
        self,
        holder: str,
        watch: LeaseWatch,
        most_running: int,
        lease_s: float,
        besides: Collection[str] = (),
    ) -> BatchJob | None:
        rules.check_holder(holder)
        with self._lock:
            held = [job for job in self._jobs.values() if job.held]
            lapsed = watch.lapsed([(job.id, job.token, job.beat) for job in held], lease_s)
            may_begin = len(held) < most_running
            free = [
                job
                for job in self._jobs.values()
                if job.id not in besides and rules.claimable(job, lapsed, may_begin)
            ]
            if not free:
                return None
            first = min(free, key=lambda job: (-job.priority, job.number))
            return self._kept(rules.claimed(first, holder, self._clock.now()))

    def renew(self, job: str, token: int, progress: BatchProgress) -> BatchJob:
        with self._lock:
            return self._kept(rules.renewed(self.get(job), token, progress))

    def plan(self, job: str, token: int, plan: JobPlan) -> JobPlan:
        with self._lock:
            self._kept(rules.with_plan(self.get(job), token, plan))
            return self._plans.setdefault(job, plan)

    def planned(self, job: str) -> JobPlan | None:
        with self._lock:
            return self._plans.get(self.get(job).id)

    def start_over(self, job: str, token: int) -> BatchJob:
        with self._lock:
            changed = self._kept(rules.started_over(self.get(job), token))
            self._plans.pop(job, None)
            self._partitions[job] = {}
            return changed

    def commit(self, job: str, token: int, number: int, result: bytes) -> bool:
        with self._lock:
            changed = rules.with_partition(self.get(job), token, number)
            if number in self._partitions[job]:
                return False
            self._partitions[job][number] = result
            self._kept(changed)
            return True

    def committed(self, job: str) -> frozenset[int]:
        with self._lock:
            return frozenset(self._partitions[self.get(job).id])

    def partitions(
        self, job: str, after: int = -1, limit: int = MOST_LISTED
    ) -> Sequence[CommittedPartition]:
        rules.check_listed(limit)
        with self._lock:
            known = self._partitions[self.get(job).id]
            numbers = sorted(number for number in known if number > after)[:limit]
            return [CommittedPartition(number, known[number]) for number in numbers]

    def move(
        self, job: str, token: int, state: JobState, reason: str = "", report: bytes | None = None
    ) -> BatchJob:
        with self._lock:
            changed = rules.moved(self.get(job), token, state, reason, self._clock.now())
            if report is not None:
                self._reports[job] = report
            return self._kept(changed)

    def release(self, job: str, token: int) -> BatchJob:
        with self._lock:
            return self._kept(rules.released(self.get(job), token))

    def report(self, job: str) -> bytes | None:
        with self._lock:
            return self._reports.get(self.get(job).id)

    def log(self, job: str, level: Level, text: str, numbers: dict[str, Any] | None = None) -> None:
        with self._lock:
            number, at = self._newest_line + 1, self._clock.now()
            line = rules.log_line(self.get(job), number, at, level, text, numbers)
            self._newest_line = number
            self._lines[job] = [*self._lines[job], line][-MOST_LINES:]

    def log_lines(
        self,
        job: str | None = None,
        after: int = 0,
        limit: int = MOST_LISTED,
        sees: Sees | None = None,
    ) -> Sequence[LogLine]:
        rules.check_listed(limit)
        with self._lock:
            of_jobs = self._lines.values() if job is None else [self._lines[self.get(job).id]]
            lines = sorted((line for some in of_jobs for line in some), key=lambda one: one.number)
        return [
            line for line in lines if line.number > after and (sees is None or sees(line.model))
        ][:limit]

    def newest_line(self) -> int:
        with self._lock:
            return self._newest_line

    def sweep(self, keep_s: float) -> Sequence[str]:
        rules.check_keep(keep_s)
        before = self._clock.now() - timedelta(seconds=keep_s)
        with self._lock:
            jobs = list(self._jobs.values())
            old = [job.id for job in jobs if job.ended_at is not None and job.ended_at < before]
            for job in old:
                del self._jobs[job], self._partitions[job], self._lines[job]
                self._plans.pop(job, None)
                self._reports.pop(job, None)
            return old

    def _in_use(self) -> set[tuple[str, int]]:
        # asked under the registry's lock, which is taken under this one elsewhere
        return {(job.model, job.version) for job in tuple(self._jobs.values()) if not job.ended}

    @contextmanager
    def _changing(self, actor: str) -> Iterator[None]:
        check_actor(actor)
        with self._lock:
            yield

    def _submitted_before(self, draft: BatchDraft) -> BatchJob | None:
        for first in self._jobs.values():
            if draft.idempotency_key is not None and first.idempotency_key == draft.idempotency_key:
                rules.check_same_job(first, draft)
                return first
        return None

    def _check_version(self, model: str, version: int) -> None:
        check_live(self._registry.model(model), self._registry.version(model, version))

    def _kept(self, job: BatchJob, action: str = "", actor: str = "") -> BatchJob:
        if action:
            self._registry.note(actor, action, {"job": job.id}, job.model, job.version)
        self._jobs[job.id] = job
        return job
