"""Batch jobs and table rows: one into the other, on an open connection."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from augurium.core.identifiers import NAME_PATTERN
from augurium.registry.batch_records import BatchJob, LogLine
from augurium.registry.batch_rules import job_not_found
from augurium.registry.lease_watch import Lease
from augurium.registry.tables import (
    batch_counter,
    batch_documents,
    batch_jobs,
    batch_log,
    batch_partitions,
)

# jobs or lines that are read at a time
BATCH = 500
_FIELDS = BatchJob.__struct_fields__
_COLUMNS = [batch_jobs.c[field] for field in _FIELDS]
_FIXED = ("id", "number", "spec", "version")
_LINE = [batch_log.c[field] for field in LogLine.__struct_fields__ if field != "model"]
_OPEN = batch_jobs.c.ended_at.is_(None)
_HELD = batch_jobs.c.holder != ""


def lock_counter(connection: Connection) -> tuple[int, int]:
    """The numbers of the newest job and line; who takes a number or a job comes one at a time."""
    row = connection.execute(select(batch_counter).with_for_update()).one()
    return int(row.jobs), int(row.lines)


def read_job(connection: Connection, job: str) -> BatchJob:
    """Raises NotFound."""
    return _one(connection, job, lock=False)


def lock_job(connection: Connection, job: str) -> BatchJob:
    """The job, which nobody else changes before this transaction ends. Raises NotFound."""
    return _one(connection, job, lock=True)


def read_jobs(
    connection: Connection, limit: int, *conditions: ColumnElement[bool]
) -> list[BatchJob]:
    """The jobs for which all conditions hold, the newest first."""
    query = select(*_COLUMNS).where(*conditions).order_by(batch_jobs.c.number.desc()).limit(limit)
    return [_job(row) for row in connection.execute(query)]


def insert_job(connection: Connection, job: BatchJob) -> None:
    fields = msgspec.structs.asdict(job)
    connection.execute(insert(batch_jobs).values(**fields, model=job.model, priority=job.priority))
    connection.execute(update(batch_counter).values(jobs=job.number))


def write_job(connection: Connection, known: BatchJob, changed: BatchJob) -> None:
    """Writes those fields that differ."""
    values = {
        field: getattr(changed, field)
        for field in _FIELDS
        if field not in _FIXED and getattr(changed, field) != getattr(known, field)
    }
    if values:
        row = update(batch_jobs).where(batch_jobs.c.id == known.id)
        connection.execute(row.values(**values))


def read_leases(connection: Connection) -> list[Lease]:
    """All leases, whether their holders live or not."""
    of = batch_jobs.c
    rows = connection.execute(select(of.id, of.token, of.beat).where(_OPEN, _HELD))
    return [(str(job), int(token), int(beat)) for job, token, beat in rows]


def next_claim(
    connection: Connection, lapsed: Sequence[Lease], most_running: int, besides: Collection[str]
) -> str | None:
    """The job that is to be claimed next."""
    of = batch_jobs.c
    held = connection.execute(select(func.count()).where(_OPEN, _HELD)).scalar_one()
    left = or_(of.wanted == "cancel", of.state == "publishing")
    waits = of.state == "queued" if held < most_running else false()
    free = and_(of.holder == "", or_(left, waits))
    query = select(of.id).where(_OPEN, or_(free, _any_lease(lapsed)), of.id.not_in(besides))
    ordered = query.order_by(of.priority.desc(), of.number).limit(1)
    found: str | None = connection.execute(ordered).scalar()
    return found


def write_line(connection: Connection, line: LogLine, most: int) -> None:
    """Adds a line, and lets go of the oldest above `most` of its job."""
    fields = msgspec.structs.asdict(line)
    del fields["model"]
    connection.execute(insert(batch_log).values(**fields))
    connection.execute(update(batch_counter).values(lines=line.number))
    of_job = batch_log.c.job == line.job
    newest = select(batch_log.c.number).where(of_job).order_by(batch_log.c.number.desc())
    last_gone = connection.execute(newest.offset(most).limit(1)).scalar()
    if last_gone is not None:
        connection.execute(delete(batch_log).where(of_job, batch_log.c.number <= last_gone))


def read_lines(connection: Connection, job: str | None, after: int) -> Iterator[LogLine]:
    """Lines in their order, a batch at a time."""
    joined = batch_log.join(batch_jobs, batch_jobs.c.id == batch_log.c.job)
    query = select(*_LINE, batch_jobs.c.model).select_from(joined).order_by(batch_log.c.number)
    if job is not None:
        query = query.where(batch_log.c.job == job)
    while True:
        rows = connection.execute(query.where(batch_log.c.number > after).limit(BATCH)).all()
        yield from (LogLine(**row._mapping) for row in rows)
        if len(rows) < BATCH:
            return
        after = rows[-1].number


def remove_partitions(connection: Connection, job: str) -> None:
    """Removes what was planned and done."""
    of_plan = and_(batch_documents.c.job == job, batch_documents.c.kind == "plan")
    connection.execute(delete(batch_documents).where(of_plan))
    connection.execute(delete(batch_partitions).where(batch_partitions.c.job == job))


def remove_job(connection: Connection, job: str) -> None:
    """Removes a job and all that was kept of it."""
    for table in (batch_partitions, batch_documents, batch_log):
        connection.execute(delete(table).where(table.c.job == job))
    connection.execute(delete(batch_jobs).where(batch_jobs.c.id == job))


def write_document(connection: Connection, job: str, kind: str, content: bytes) -> None:
    """Keeps a document of a job instead of the one there was."""
    of_kind = and_(batch_documents.c.job == job, batch_documents.c.kind == kind)
    connection.execute(delete(batch_documents).where(of_kind))
    connection.execute(insert(batch_documents).values(job=job, kind=kind, content=content))


def read_document(connection: Connection, job: str, kind: str) -> bytes | None:
    of_kind = and_(batch_documents.c.job == job, batch_documents.c.kind == kind)
    content: bytes | None = connection.execute(
        select(batch_documents.c.content).where(of_kind)
    ).scalar()
    return content


def _any_lease(leases: Sequence[Lease]) -> ColumnElement[bool]:
    of = batch_jobs.c
    return or_(
        false(),
        *(
            and_(of.id == job, of.token == token, of.beat == beat, _HELD)
            for job, token, beat in leases
        ),
    )


def _one(connection: Connection, job: str, lock: bool) -> BatchJob:
    # a text that is no id may not even be one the database can take
    if not NAME_PATTERN.fullmatch(job):
        raise job_not_found(job)
    query = select(*_COLUMNS).where(batch_jobs.c.id == job)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise job_not_found(job)
    return _job(row)


def _job(row: Row[Any]) -> BatchJob:
    return BatchJob(**dict(zip(_FIELDS, row, strict=True)))
