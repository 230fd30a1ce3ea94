"""Routes: rollouts."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from augurium.access.principal import Principal
from augurium.control.rollout_views import (
    EventList,
    RolloutDetail,
    RolloutList,
    detail,
    summary,
)
from augurium.control.rollouts import Order
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, CallerOf, ServicesOf, json_body
from augurium.control.services import Services
from augurium.core.identifiers import check_model_name
from augurium.registry.draft_limits import check_reason
from augurium.registry.rollout_records import Rollout
from augurium.registry.rollout_store import MOST_EVENTS, rollout_not_found
from augurium.registry.rules import model_not_found

router = APIRouter(tags=["rollouts"])
Limit = Annotated[int, Query(ge=1, le=MOST_EVENTS)]
After = Annotated[int, Query(ge=0, le=2**63 - 1)]


class RolloutOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rollout to be started: of which model, of which kind, and its plan."""

    model: str
    kind: str
    plan: dict[str, Any]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an operator does something; it stands in the audit log."""

    reason: str = ""


OrderBody = Annotated[RolloutOrder, Depends(json_body(RolloutOrder))]
ReasonBody = Annotated[Reason, Depends(json_body(Reason))]


@router.post("/rollouts", **described(RolloutDetail, takes=RolloutOrder, status=201))
async def start_rollout(
    order: OrderBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Starts a rollout; it is in effect when the answer comes."""
    model = check_model_name(order.model)
    if not caller.sees(model):
        raise model_not_found(model)
    rollout = await services.rollouts.begin(model, order.kind, order.plan, actor)
    return answer(detail(rollout), 201)


@router.get("/rollouts", **described(RolloutList))
def list_rollouts(
    services: ServicesOf,
    caller: CallerOf,
    model: str | None = None,
    active: bool | None = None,
    limit: Limit = 100,
) -> Response:
    """Rollouts, the newest first: of one model or of all, active or ended ones."""
    name = check_model_name(model) if model else None
    sees = caller.sees if caller.models else None
    found = services.rollouts.store.find(name, active, limit, sees)
    return answer(RolloutList([summary(rollout) for rollout in found]))


@router.get("/rollouts/{rollout}", **described(RolloutDetail))
async def get_rollout(
    rollout: str, services: ServicesOf, caller: CallerOf, peek: bool = False
) -> Response:
    """One rollout; with `peek` an experiment's verdict as of now, which decides nothing."""
    known = await _seen(services, caller, rollout)
    found = _detail(services, known)
    if peek:
        found = msgspec.structs.replace(found, verdict=await services.rollouts.peek(known))
    return answer(found)


@router.get("/rollouts/{rollout}/events", **described(EventList))
async def rollout_events(
    rollout: str, services: ServicesOf, caller: CallerOf, after: After = 0
) -> Response:
    """What happened in a rollout, the oldest first; only events with a number above `after`."""
    known = await _seen(services, caller, rollout)
    found = await services.rollouts.feed.after(after, 0, rollout=known.id)
    return answer(EventList(list(found), found[-1].number if found else after))


@router.post("/rollouts/{rollout}/pause", **described(RolloutDetail, takes=Reason))
async def pause_rollout(
    rollout: str, body: ReasonBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Keeps the weights as they are until it is resumed; hard limits hold on."""
    return await _ordered(services, caller, (rollout, "pause"), actor, body.reason)


@router.post("/rollouts/{rollout}/resume", **described(RolloutDetail, takes=Reason))
async def resume_rollout(
    rollout: str, body: ReasonBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Lets a paused rollout go on."""
    return await _ordered(services, caller, (rollout, "resume"), actor, body.reason)


@router.post("/rollouts/{rollout}/promote", **described(RolloutDetail, takes=Reason))
async def promote_rollout(
    rollout: str, body: ReasonBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Makes its version the default now, without waiting for a verdict."""
    return await _ordered(services, caller, (rollout, "promote"), actor, body.reason)


@router.post("/rollouts/{rollout}/abort", **described(RolloutDetail, takes=Reason))
async def abort_rollout(
    rollout: str, body: ReasonBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Gives all requests back to the default of before."""
    return await _ordered(services, caller, (rollout, "abort"), actor, body.reason)


async def _ordered(
    services: Services, caller: Principal, what: tuple[str, Order], actor: str, reason: str
) -> Response:
    check_reason(reason)
    known = await _seen(services, caller, what[0])
    return answer(
        _detail(services, await services.rollouts.order(known.id, what[1], actor, reason))
    )


async def _seen(services: Services, caller: Principal, rollout: str) -> Rollout:
    """Raises NotFound also for a rollout whose model the caller may not know of."""
    known = await asyncio.to_thread(services.rollouts.store.get, rollout)
    if not caller.sees(known.model):
        raise rollout_not_found(rollout)
    return known


def _detail(services: Services, rollout: Rollout) -> RolloutDetail:
    """What is written down, and what is known beyond it: ticks are not written one by one."""
    for held in services.rollouts.active:
        if held.rollout.id == rollout.id:
            return detail(rollout, held.state, held.problem)
    return detail(rollout)
