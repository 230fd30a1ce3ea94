"""The store of batch jobs in the registry's SQL database."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, select

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
from augurium.registry.batch_rows import (
    BATCH,
    insert_job,
    lock_counter,
    lock_job,
    next_claim,
    read_document,
    read_job,
    read_jobs,
    read_leases,
    read_lines,
    remove_job,
    remove_partitions,
    write_document,
    write_job,
    write_line,
)
from augurium.registry.batch_store import MOST_LINES, MOST_LISTED
from augurium.registry.change import Change, changing
from augurium.registry.database import reading, writing
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.registry import Sees
from augurium.registry.rows import read_model, read_version
from augurium.registry.rules import check_live
from augurium.registry.tables import batch_counter, batch_jobs, batch_partitions


class SqlBatchJobs:
    """Jobs over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database. Whoever changes a
    job locks its row first, so a token that was read is the token that counts until the commit.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def submit(self, draft: BatchDraft, actor: str) -> BatchJob:
        rules.check_batch_draft(draft)
        with changing(self._engine, self._clock, actor) as change:
            first = _submitted_before(change.connection, draft)
            if first is not None:
                return first
            _check_version(change.connection, draft.spec.model, draft.version)
            newest, _ = lock_counter(change.connection)
            job = rules.submitted(draft, newest + 1, change.at, actor)
            insert_job(change.connection, job)
            _record(change, "submit_batch_job", job)
        return job

    def submitted(self, draft: BatchDraft) -> BatchJob | None:
        with reading(self._engine) as connection:
            return _submitted_before(connection, draft)

    def get(self, job: str) -> BatchJob:
        with reading(self._engine) as connection:
            return read_job(connection, job)

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
        conditions = _conditions(model, states, schedule)
        with reading(self._engine) as connection:
            # of models that are not seen there may be any number between
            size = BATCH if sees else min(limit, BATCH)
            every = _newest_first(connection, conditions, before, size)
            return list(islice((job for job in every if sees is None or sees(job.model)), limit))

    def want(self, job: str, wanted: Wanted, actor: str) -> BatchJob:
        with changing(self._engine, self._clock, actor) as change:
            known = lock_job(change.connection, job)
            changed = rules.wished(known, wanted, change.at)
            if changed is not known:
                write_job(change.connection, known, changed)
                _record(change, rules.ACTIONS[wanted], changed)
        return changed

    def retry(self, job: str, actor: str) -> BatchJob:
        with changing(self._engine, self._clock, actor) as change:
            known = lock_job(change.connection, job)
            changed = rules.retried(known)
            _check_version(change.connection, known.model, known.version)
            write_job(change.connection, known, changed)
            _record(change, "retry_batch_job", changed)
        return changed

    def claim(
        self,
        holder: str,
        watch: LeaseWatch,
        most_running: int,
        lease_s: float,
        besides: Collection[str] = (),
    ) -> BatchJob | None:
        rules.check_holder(holder)
        with reading(self._engine) as connection:
            lapsed = watch.lapsed(read_leases(connection), lease_s)
            # most of the time there is nothing, and nobody should have to wait for that
            if next_claim(connection, lapsed, most_running, besides) is None:
                return None
        with writing(self._engine) as connection:
            lock_counter(connection)
            found = next_claim(connection, lapsed, most_running, besides)
            if found is None:
                return None
            known = lock_job(connection, found)
            if not rules.claimable(known, lapsed):
                return None
            changed = rules.claimed(known, holder, self._clock.now())
            write_job(connection, known, changed)
        return changed

    def renew(self, job: str, token: int, progress: BatchProgress) -> BatchJob:
        with self._locked(job) as (connection, known):
            changed = rules.renewed(known, token, progress)
            write_job(connection, known, changed)
        return changed

    def plan(self, job: str, token: int, plan: JobPlan) -> JobPlan:
        with self._locked(job) as (connection, known):
            changed = rules.with_plan(known, token, plan)
            if changed is known:
                return _read_plan(connection, known) or plan
            write_job(connection, known, changed)
            write_document(connection, job, "plan", plan.content)
        return plan

    def planned(self, job: str) -> JobPlan | None:
        with reading(self._engine) as connection:
            return _read_plan(connection, read_job(connection, job))

    def start_over(self, job: str, token: int) -> BatchJob:
        with self._locked(job) as (connection, known):
            changed = rules.started_over(known, token)
            remove_partitions(connection, job)
            write_job(connection, known, changed)
        return changed

    def commit(self, job: str, token: int, number: int, result: bytes) -> bool:
        with self._locked(job) as (connection, known):
            changed = rules.with_partition(known, token, number)
            of = batch_partitions.c
            of_number = select(of.number).where(of.job == job, of.number == number)
            if connection.execute(of_number).first() is not None:
                return False
            row = {"job": job, "number": number, "result": result}
            connection.execute(insert(batch_partitions).values(**row))
            write_job(connection, known, changed)
        return True

    def committed(self, job: str) -> frozenset[int]:
        query = select(batch_partitions.c.number).where(batch_partitions.c.job == job)
        with reading(self._engine) as connection:
            read_job(connection, job)
            return frozenset(connection.execute(query).scalars())

    def partitions(
        self, job: str, after: int = -1, limit: int = MOST_LISTED
    ) -> Sequence[CommittedPartition]:
        rules.check_listed(limit)
        of = batch_partitions.c
        query = select(of.number, of.result).where(of.job == job, of.number > after)
        with reading(self._engine) as connection:
            read_job(connection, job)
            rows = connection.execute(query.order_by(of.number).limit(limit))
            return [CommittedPartition(*row) for row in rows]

    def move(
        self, job: str, token: int, state: JobState, reason: str = "", report: bytes | None = None
    ) -> BatchJob:
        with self._locked(job) as (connection, known):
            changed = rules.moved(known, token, state, reason, self._clock.now())
            write_job(connection, known, changed)
            if report is not None:
                write_document(connection, job, "report", report)
        return changed

    def release(self, job: str, token: int) -> BatchJob:
        with self._locked(job) as (connection, known):
            changed = rules.released(known, token)
            write_job(connection, known, changed)
        return changed

    def report(self, job: str) -> bytes | None:
        with reading(self._engine) as connection:
            read_job(connection, job)
            return read_document(connection, job, "report")

    def log(self, job: str, level: Level, text: str, numbers: dict[str, Any] | None = None) -> None:
        with writing(self._engine) as connection:
            _, newest = lock_counter(connection)
            known, at = read_job(connection, job), self._clock.now()
            line = rules.log_line(known, newest + 1, at, level, text, numbers)
            write_line(connection, line, MOST_LINES)

    def log_lines(
        self,
        job: str | None = None,
        after: int = 0,
        limit: int = MOST_LISTED,
        sees: Sees | None = None,
    ) -> Sequence[LogLine]:
        rules.check_listed(limit)
        with reading(self._engine) as connection:
            if job is not None:
                read_job(connection, job)
            lines = read_lines(connection, job, after)
            return list(islice((line for line in lines if sees is None or sees(line.model)), limit))

    def newest_line(self) -> int:
        with reading(self._engine) as connection:
            return int(connection.execute(select(batch_counter.c.lines)).scalar_one())

    def sweep(self, keep_s: float) -> Sequence[str]:
        rules.check_keep(keep_s)
        old = batch_jobs.c.ended_at < self._clock.now() - timedelta(seconds=keep_s)
        query = select(batch_jobs.c.id).where(old).order_by(batch_jobs.c.number)
        with reading(self._engine) as connection:
            found = list(connection.execute(query).scalars())
        return [job for job in found if self._removed(job, old)]

    def _removed(self, job: str, old: ColumnElement[bool]) -> bool:
        # one at a time, because a job may have very many partitions; it may be retried meanwhile
        with writing(self._engine) as connection:
            still = select(batch_jobs.c.id).where(batch_jobs.c.id == job, old).with_for_update()
            if connection.execute(still).first() is None:
                return False
            remove_job(connection, job)
        return True

    @contextmanager
    def _locked(self, job: str) -> Iterator[tuple[Connection, BatchJob]]:
        with writing(self._engine) as connection:
            yield connection, lock_job(connection, job)


def _submitted_before(connection: Connection, draft: BatchDraft) -> BatchJob | None:
    if draft.idempotency_key is None:
        return None
    found = read_jobs(connection, 1, batch_jobs.c.idempotency_key == draft.idempotency_key)
    for first in found:
        rules.check_same_job(first, draft)
    return found[0] if found else None


def _check_version(connection: Connection, model: str, version: int) -> None:
    check_live(read_model(connection, model), read_version(connection, model, version))


def _conditions(
    model: str | None, states: Collection[JobState], schedule: str | None
) -> list[ColumnElement[bool]]:
    of = batch_jobs.c
    conditions: list[ColumnElement[bool]] = []
    if model is not None:
        conditions.append(of.model == model)
    if states:
        conditions.append(of.state.in_(states))
    if schedule is not None:
        conditions.append(of.schedule == schedule)
    return conditions


def _newest_first(
    connection: Connection,
    conditions: Iterable[ColumnElement[bool]],
    before: int | None,
    size: int,
) -> Iterator[BatchJob]:
    while True:
        older = [] if before is None else [batch_jobs.c.number < before]
        found = read_jobs(connection, size, *conditions, *older)
        yield from found
        if len(found) < size:
            return
        before = found[-1].number


def _read_plan(connection: Connection, job: BatchJob) -> JobPlan | None:
    content = read_document(connection, job.id, "plan")
    if content is None or job.partitions is None:
        return None
    return JobPlan(content=content, partitions=job.partitions, rows=job.rows)


def _record(change: Change, action: str, job: BatchJob) -> None:
    change.record(action, job.model, job.version, job=job.id)
