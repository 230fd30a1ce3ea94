"""Routes: what served when, and who decided it."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.moments import moment as moment_of
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.registry.history import POINTER_ACTIONS, TRAFFIC_ACTIONS
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
    moment = datetime.now(UTC) if at is None else moment_of("at", at)
    actions = POINTER_ACTIONS | TRAFFIC_ACTIONS
    return answer(
        History(
            services.registry.served_at(model, moment),
            list(services.registry.audit(model, limit, actions=actions, until=moment)),
        )
    )
