"""The store of schedules of batch jobs in the registry's SQL database."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from msgspec.structs import asdict, replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    delete,
    false,
    func,
    insert,
    select,
    true,
    update,
)

from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.clock import Clock
from augurium.core.identifiers import NAME_PATTERN
from augurium.registry import batch_schedule_store as rules
from augurium.registry.batch_schedule_records import (
    WITHOUT_JOB,
    ArrivedFile,
    BatchRun,
    BatchSchedule,
    RunDraft,
    RunState,
)
from augurium.registry.change import Change, changing
from augurium.registry.database import reading, writing
from augurium.registry.registry import Sees
from augurium.registry.rows import read_model
from augurium.registry.rules import check_live
from augurium.registry.tables import batch_arrivals, batch_runs, batch_schedules

# below the number of parameters that SQLite takes
_BATCH = 500
# of one that is open nobody was told; as it stands in the index
_UNTOLD = batch_runs.c.told == false()
_OPEN = batch_runs.c.ended_at.is_(None)


class SqlBatchSchedules:
    """Schedules over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database. Changes of
    schedules come one after the other, so what a claim has seen is what counts until its commit.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def create(
        self, name: str, spec: BatchScheduleSpec, through: datetime, actor: str, anew: bool = False
    ) -> BatchSchedule:
        rules.check_schedule(name, spec)
        with changing(self._engine, self._clock, actor) as change:
            check_live(read_model(change.connection, spec.job.model))
            known = _find(change.connection, batch_schedules.c.name == name)
            if not known:
                rules.check_count(_count(change.connection))
            before = known[0] if known else None
            schedule = rules.created(before, name, spec, (change.at, through), actor, anew)
            row = asdict(schedule) | {"model": schedule.model}
            if before is None:
                change.connection.execute(insert(batch_schedules).values(**row))
            else:
                _update(change.connection, schedule)
            action = "change_batch_schedule" if before else "create_batch_schedule"
            change.record(action, schedule.model, **rules.details_of(schedule))
        return schedule

    def get(self, name: str) -> BatchSchedule:
        with reading(self._engine) as connection:
            return _schedule(connection, name)

    def find(self, model: str | None = None, sees: Sees | None = None) -> Sequence[BatchSchedule]:
        condition = true() if model is None else batch_schedules.c.model == model
        with reading(self._engine) as connection:
            found = _find(connection, condition)
        return [one for one in found if sees is None or sees(one.model)]

    def pause(self, name: str, actor: str) -> BatchSchedule:
        return self._rest(name, actor, True)

    def resume(self, name: str, through: datetime, actor: str) -> BatchSchedule:
        return self._rest(name, actor, False, through)

    def delete(self, name: str, actor: str) -> None:
        with changing(self._engine, self._clock, actor) as change:
            schedule = _schedule(change.connection, name)
            for table in (batch_arrivals, batch_runs):
                change.connection.execute(delete(table).where(table.c.schedule == name))
            change.connection.execute(delete(batch_schedules).where(batch_schedules.c.name == name))
            change.record("delete_batch_schedule", schedule.model, schedule=name)

    def claim(
        self, schedule: BatchSchedule, through: datetime, drafts: Sequence[RunDraft]
    ) -> Sequence[BatchRun]:
        with self._claiming(schedule) as (change, known):
            return _write(change, replace(known, through=through), drafts)

    def claim_files(
        self, schedule: BatchSchedule, draft: RunDraft, files: Sequence[ArrivedFile]
    ) -> BatchRun | None:
        with self._claiming(schedule) as (change, known):
            new = _unseen(change.connection, known.name, files)
            if not new:
                return None
            (run,) = _write(change, replace(known, through=draft.end), (draft,), len(new))
            rows = [
                {
                    "schedule": known.name,
                    "digest": digest,
                    "location": file.location,
                    "run": run.number,
                }
                for digest, file in new.items()
            ]
            change.connection.execute(insert(batch_arrivals), rows)
        return run

    def unseen(self, name: str, files: Collection[ArrivedFile]) -> frozenset[ArrivedFile]:
        with reading(self._engine) as connection:
            return frozenset(_unseen(connection, name, files).values())

    def order(
        self, name: str, drafts: Sequence[RunDraft], actor: str, again: bool = False
    ) -> Sequence[BatchRun]:
        with changing(self._engine, self._clock, actor) as change:
            known = _schedule(change.connection, name)
            runs = _write(change, known, drafts, again=again)
            if runs:
                details = rules.ordered_details(known, runs)
                change.record("run_batch_schedule", known.model, **details)
        return runs

    def runs(self, name: str, limit: int = 100, before: int | None = None) -> Sequence[BatchRun]:
        rules.check_listed(limit)
        condition = batch_runs.c.schedule == name
        if before is not None:
            condition = and_(condition, batch_runs.c.number < before)
        with reading(self._engine) as connection:
            _schedule(connection, name)
            return _runs(connection, condition, limit, newest=True)

    def open_runs(self) -> Sequence[BatchRun]:
        with reading(self._engine) as connection:
            return _runs(connection, and_(_UNTOLD, _OPEN))

    def files(self, run: BatchRun) -> Sequence[str]:
        condition = and_(
            batch_arrivals.c.schedule == run.schedule, batch_arrivals.c.run == run.number
        )
        with reading(self._engine) as connection:
            found = connection.execute(select(batch_arrivals.c.location).where(condition))
            return sorted(found.scalars())

    def move(self, run: BatchRun, state: RunState, job: str = "", reason: str = "") -> bool:
        after = rules.moved(run, state, job, reason, self._clock.now())
        row = update(batch_runs).where(batch_runs.c.id == run.id, batch_runs.c.state == run.state)
        names = ("state", "job", "reason", "ended_at")
        with writing(self._engine) as connection:
            values = {name: getattr(after, name) for name in names}
            return connection.execute(row.values(**values)).rowcount == 1

    def untold(self) -> Sequence[BatchRun]:
        condition = and_(_UNTOLD, ~_OPEN)
        with reading(self._engine) as connection:
            return _runs(connection, condition, rules.MOST_LISTED)

    def tell(self, runs: Sequence[BatchRun]) -> None:
        row = update(batch_runs).where(batch_runs.c.id.in_([run.id for run in runs]))
        with writing(self._engine) as connection:
            connection.execute(row.values(told=True))

    def _rest(
        self, name: str, actor: str, paused: bool, through: datetime | None = None
    ) -> BatchSchedule:
        with changing(self._engine, self._clock, actor) as change:
            known = _schedule(change.connection, name)
            if known.paused == paused:
                return known
            after = replace(
                known,
                paused=paused,
                through=through or known.through,
                revision=known.revision + 1,
            )
            _update(change.connection, after)
            action = "pause_batch_schedule" if paused else "resume_batch_schedule"
            change.record(action, after.model, schedule=name)
        return after

    @contextmanager
    def _claiming(self, schedule: BatchSchedule) -> Iterator[tuple[Change, BatchSchedule]]:
        with changing(self._engine, self._clock, schedule.actor) as change:
            known = _schedule(change.connection, schedule.name)
            rules.check_current(known, schedule)
            yield change, known


def _write(
    change: Change,
    schedule: BatchSchedule,
    drafts: Iterable[RunDraft],
    files: int = 0,
    again: bool = False,
) -> Sequence[BatchRun]:
    """Writes runs down, and the schedule behind them."""
    written: list[BatchRun] = []
    for draft in drafts:
        if not again and draft.state != "missed" and _had_job(change.connection, schedule, draft):
            continue
        run = replace(rules.run_of(schedule, draft, change.at, change.actor), files=files)
        change.connection.execute(insert(batch_runs).values(**asdict(run)))
        schedule = replace(schedule, runs=run.number)
        written.append(run)
    _update(change.connection, replace(schedule, revision=schedule.revision + 1))
    _let_go(change.connection, schedule)
    return written


def _had_job(connection: Connection, schedule: BatchSchedule, draft: RunDraft) -> bool:
    query = select(func.count()).where(
        batch_runs.c.schedule == schedule.name,
        batch_runs.c.start == draft.start,
        batch_runs.c.end == draft.end,
        batch_runs.c.state.not_in(WITHOUT_JOB),
    )
    return bool(connection.execute(query).scalar())


def _let_go(connection: Connection, schedule: BatchSchedule) -> None:
    """Removes old runs that nobody waits for."""
    oldest = schedule.runs - rules.MOST_RUNS
    old = and_(batch_runs.c.schedule == schedule.name, batch_runs.c.number <= oldest)
    connection.execute(delete(batch_runs).where(old, batch_runs.c.told.is_(True)))


def _update(connection: Connection, schedule: BatchSchedule) -> None:
    row = asdict(schedule) | {"model": schedule.model}
    connection.execute(
        update(batch_schedules).where(batch_schedules.c.name == schedule.name).values(**row)
    )


def _schedule(connection: Connection, name: str) -> BatchSchedule:
    # a text that is no name may not even be one the database can take
    known = NAME_PATTERN.fullmatch(name)
    found = _find(connection, batch_schedules.c.name == name) if known else []
    if not found:
        raise rules.schedule_not_found(name)
    return found[0]


def _find(connection: Connection, condition: ColumnElement[bool]) -> list[BatchSchedule]:
    columns = [column for column in batch_schedules.c if column.name != "model"]
    query = select(*columns).where(condition).order_by(batch_schedules.c.name)
    return [BatchSchedule(**row._mapping) for row in connection.execute(query)]


def _count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(batch_schedules)).scalar() or 0)


def _runs(
    connection: Connection,
    condition: ColumnElement[bool],
    limit: int | None = None,
    newest: bool = False,
) -> list[BatchRun]:
    """Runs, the oldest first, or the newest."""
    order = (batch_runs.c.created_at, batch_runs.c.number)
    query = select(batch_runs).where(condition).limit(limit)
    query = query.order_by(*(column.desc() if newest else column for column in order))
    return [BatchRun(**row._mapping) for row in connection.execute(query)]


def _unseen(
    connection: Connection, name: str, files: Collection[ArrivedFile]
) -> dict[bytes, ArrivedFile]:
    """By digest, those that have been in no run."""
    by_digest = {rules.digest_of(file): file for file in files}
    seen: set[bytes] = set()
    digests = iter(by_digest)
    while some := list(islice(digests, _BATCH)):
        query = select(batch_arrivals.c.digest).where(
            batch_arrivals.c.schedule == name, batch_arrivals.c.digest.in_(some)
        )
        seen.update(bytes(digest) for digest in connection.execute(query).scalars())
    return {digest: file for digest, file in by_digest.items() if digest not in seen}
