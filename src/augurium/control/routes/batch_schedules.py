"""Routes: schedules of batch jobs."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from augurium.access.principal import Principal
from augurium.control.batch_schedule_views import (
    BatchRunList,
    BatchScheduleDetail,
    BatchScheduleList,
    BatchScheduleSummary,
    OrderedRuns,
    detail,
    summary,
)
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, CallerOf, ServicesOf, json_body
from augurium.control.services import Services
from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.identifiers import check_model_name
from augurium.registry.batch_schedule_records import BatchSchedule
from augurium.registry.batch_schedule_store import MOST_LISTED, schedule_not_found
from augurium.registry.rules import model_not_found

router = APIRouter(tags=["batch"])
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
MOST_UPCOMING = 100
Upcoming = Annotated[int, Query(ge=0, le=MOST_UPCOMING)]
SHOWN_RUNS = 10


class BatchScheduleOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A schedule to be kept. With `replace` one of this name is changed, and keeps its runs."""

    name: str
    spec: BatchScheduleSpec
    replace: bool = False


class RunOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which intervals are to run: those that begin from `first` to `last`, days (with all of the
    last) or times; the newest that has ended if both are empty. Those that had a job only `again`.
    """

    first: str = ""
    last: str = ""
    again: bool = False


OrderBody = Annotated[BatchScheduleOrder, Depends(json_body(BatchScheduleOrder))]
RunBody = Annotated[RunOrder, Depends(json_body(RunOrder))]


@router.post(
    "/batch-schedules", **described(BatchScheduleDetail, takes=BatchScheduleOrder, status=201)
)
async def create_batch_schedule(
    order: OrderBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Keeps a schedule of batch jobs: by cron in a time zone, or on arrival of files."""
    model = check_model_name(order.spec.job.model)
    if not caller.sees(model):
        raise model_not_found(model)
    if order.replace:
        await _check_theirs(services, caller, order.name)
    kept = await services.batch_schedules.create(order.name, order.spec, actor, order.replace)
    return answer(await _detail(services, kept), 201)


@router.get("/batch-schedules", **described(BatchScheduleList))
async def list_batch_schedules(
    services: ServicesOf, caller: CallerOf, model: str | None = None
) -> Response:
    """Schedules by name, of one model or of all, with their newest and their next run."""
    name = check_model_name(model) if model else None
    sees = caller.sees if caller.models else None
    found = await asyncio.to_thread(services.batch_schedules.store.find, name, sees)
    return answer(BatchScheduleList([await _summary(services, one) for one in found]))


@router.get("/batch-schedules/{schedule}", **described(BatchScheduleDetail))
async def get_batch_schedule(
    schedule: str, services: ServicesOf, caller: CallerOf, upcoming: Upcoming = 5
) -> Response:
    """One schedule: what was asked for, its next runs and its newest ones."""
    return answer(await _detail(services, await _seen(services, caller, schedule), upcoming))


@router.get("/batch-schedules/{schedule}/runs", **described(BatchRunList))
async def batch_schedule_runs(
    schedule: str,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 100,
    before: Before = None,
) -> Response:
    """What a schedule has run, the newest first, those with a number below `before`."""
    known = await _seen(services, caller, schedule)
    store = services.batch_schedules.store
    return answer(
        BatchRunList(list(await asyncio.to_thread(store.runs, known.name, limit, before)))
    )


@router.post(
    "/batch-schedules/{schedule}/runs", **described(OrderedRuns, takes=RunOrder, status=201)
)
async def run_batch_schedule(
    schedule: str, body: RunBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Runs intervals of the past, one after the other: the newest, or all of some days."""
    known = await _seen(services, caller, schedule)
    span = (body.first, body.last or body.first)
    runs, left_out = await services.batch_schedules.order(known.name, actor, span, body.again)
    return answer(OrderedRuns(list(runs), left_out), 201)


@router.post("/batch-schedules/{schedule}/pause", **described(BatchScheduleDetail))
async def pause_batch_schedule(
    schedule: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Begins no more jobs until it is resumed; the one that runs goes on."""
    known = await _seen(services, caller, schedule)
    return answer(await _detail(services, await services.batch_schedules.pause(known.name, actor)))


@router.post("/batch-schedules/{schedule}/resume", **described(BatchScheduleDetail))
async def resume_batch_schedule(
    schedule: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Lets a paused schedule go on: with what it missed if it catches up, else with what comes."""
    known = await _seen(services, caller, schedule)
    return answer(await _detail(services, await services.batch_schedules.resume(known.name, actor)))


@router.delete("/batch-schedules/{schedule}", **described(BatchScheduleSummary))
async def delete_batch_schedule(
    schedule: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Forgets a schedule, its runs and the files that it has seen; its jobs stay."""
    known = await _seen(services, caller, schedule)
    found = await _summary(services, known)
    await services.batch_schedules.delete(known.name, actor)
    return answer(found)


async def _check_theirs(services: Services, caller: Principal, schedule: str) -> None:
    """Raises NotFound where one of this name is of a model that the caller may not know of."""
    every = await asyncio.to_thread(services.batch_schedules.store.find)
    if any(one.name == schedule and not caller.sees(one.model) for one in every):
        raise schedule_not_found(schedule)


async def _seen(services: Services, caller: Principal, schedule: str) -> BatchSchedule:
    """Raises NotFound also for a schedule whose model the caller may not know of."""
    known = await asyncio.to_thread(services.batch_schedules.store.get, schedule)
    if not caller.sees(known.model):
        raise schedule_not_found(schedule)
    return known


async def _summary(services: Services, schedule: BatchSchedule) -> BatchScheduleSummary:
    schedules = services.batch_schedules
    runs = await asyncio.to_thread(schedules.store.runs, schedule.name, 1)
    return summary(schedule, schedules.upcoming(schedule, 1), runs, schedules.problem(schedule))


async def _detail(
    services: Services, schedule: BatchSchedule, upcoming: int = 5
) -> BatchScheduleDetail:
    schedules = services.batch_schedules
    runs = await asyncio.to_thread(schedules.store.runs, schedule.name, SHOWN_RUNS)
    # the next one is told in any case
    next_runs = schedules.upcoming(schedule, max(upcoming, 1))
    found = detail(schedule, next_runs, runs, schedules.problem(schedule))
    return msgspec.structs.replace(found, next_runs=found.next_runs[:upcoming])
