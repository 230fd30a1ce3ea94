"""Routes: what served when, and who decided it."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.core.errors import InvalidArgument
from augurium.registry.history import POINTER_ACTIONS, TRAFFIC_ACTIONS, check_moment
from augurium.registry.records import AuditEntry, Served

router = APIRouter(tags=["history"])
Limit = Annotated[int, Query(ge=1, le=1000)]


class History(msgspec.Struct, frozen=True):
    """What was wanted at a time, and the newest changes of default, aliases, deployments and
    traffic policy up to then, the newest first.
    """

    served: Served
    changes: list[AuditEntry]


@router.get("/models/{model}/history", **described(History))
def get_history(
    model: ModelName, services: ServicesOf, at: str | None = None, limit: Limit = 100
) -> Response:
    """What served at a time, now if none is given, and who decided it when."""
    moment = datetime.now(UTC) if at is None else _moment(at)
    actions = POINTER_ACTIONS | TRAFFIC_ACTIONS
    return answer(
        History(
            services.registry.served_at(model, moment),
            list(services.registry.audit(model, limit, actions=actions, until=moment)),
        )
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        check_moment(moment)
        # a year beyond the calendar in UTC
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"at: {text[:64]!r} is not an ISO 8601 time; expected one such as 2026-01-31T12:00:00Z"
        ) from error
    return moment
