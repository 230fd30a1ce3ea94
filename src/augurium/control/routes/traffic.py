"""Routes: traffic policies."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from msgspec import Meta
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, ModelName, ServicesOf, json_body
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.core.traffic_slots import SlotRun

router = APIRouter(tags=["traffic"])
MAX_REVISION = 2**31 - 1
RevisionNumber = Annotated[int, Meta(ge=0, le=MAX_REVISION)]


class TrafficState(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of a model's traffic policy: which version answers a request that names none.

    Without a `policy` that is the default one. `slots` are the places of the variants, of 10 000
    altogether, `based_on` is the revision whose policy was brought back. After a change `applied`
    says whether every connected engine answers by it, and `milliseconds` how long that took.
    """

    model: str
    revision: int
    policy: TrafficPolicy | None
    slots: tuple[SlotRun, ...] = ()
    at: datetime | None = None
    actor: str = ""
    reason: str = ""
    based_on: int | None = None
    applied: bool | None = None
    milliseconds: float | None = None


class TrafficHistory(msgspec.Struct, frozen=True):
    """Revisions of a model's traffic policy, the newest first."""

    revisions: list[TrafficState]


class TrafficOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The policy a model shall have, and why. With `based_on_revision` it is refused if that is not
    the newest any more.
    """

    policy: TrafficPolicy
    reason: str = ""
    based_on_revision: RevisionNumber | None = None


class TrafficReversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The revision whose policy shall come back, the one before the newest if none is named; 0 is
    before the first policy.
    """

    revision: RevisionNumber | None = None
    reason: str = ""
    based_on_revision: RevisionNumber | None = None


OrderBody = Annotated[TrafficOrder, Depends(json_body(TrafficOrder))]
ReversionBody = Annotated[TrafficReversion, Depends(json_body(TrafficReversion))]
Limit = Annotated[int, Query(ge=1, le=1000)]
Revision = Annotated[int | None, Query(ge=0, le=MAX_REVISION)]


@router.get("/models/{model}/traffic", **described(TrafficState))
async def get_traffic(model: ModelName, services: ServicesOf) -> Response:
    """The newest revision of the model's traffic policy; 0 where there never was one."""
    return answer(_state(model, await services.traffic.current(model)))


@router.put("/models/{model}/traffic", **described(TrafficState, takes=TrafficOrder))
async def set_traffic(
    model: ModelName, order: OrderBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Decides who answers requests that name no version; answers when every engine does so."""
    made = await services.traffic.set(
        model, order.policy, actor, order.reason, order.based_on_revision
    )
    return answer(_state(model, made))


@router.delete("/models/{model}/traffic", **described(TrafficState))
async def clear_traffic(
    model: ModelName,
    services: ServicesOf,
    actor: ActorOf,
    reason: str = "",
    based_on_revision: Revision = None,
) -> Response:
    """Takes the policy away: the default version answers requests that name none."""
    return answer(
        _state(model, await services.traffic.clear(model, actor, reason, based_on_revision))
    )


@router.get("/models/{model}/traffic/history", **described(TrafficHistory))
async def get_traffic_history(
    model: ModelName, services: ServicesOf, limit: Limit = 100, before: Revision = None
) -> Response:
    """Every policy the model had, the newest first; `before` a revision if one is given."""
    found = await services.traffic.history(model, limit, before)
    return answer(TrafficHistory([_state(model, revision) for revision in found]))


@router.post("/models/{model}/traffic/revert", **described(TrafficState, takes=TrafficReversion))
async def revert_traffic(
    model: ModelName, order: ReversionBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Brings the policy of an earlier revision back; units stay as far as its shares allow."""
    made = await services.traffic.revert(
        model, order.revision, actor, order.reason, order.based_on_revision
    )
    return answer(_state(model, made))


def _state(model: str, revision: TrafficRevision) -> TrafficState:
    return TrafficState(model=model, **msgspec.structs.asdict(revision))
