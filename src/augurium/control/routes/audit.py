"""Routes: the audit log."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ServicesOf
from augurium.core.identifiers import check_model_name
from augurium.registry.records import AuditEntry

router = APIRouter(tags=["audit"])
Limit = Annotated[int, Query(ge=1, le=1000)]


class AuditList(msgspec.Struct, frozen=True):
    """Changes, the newest first."""

    entries: list[AuditEntry]


@router.get("/audit", **described(AuditList))
def list_audit(services: ServicesOf, model: str | None = None, limit: Limit = 100) -> Response:
    """The newest changes first, of one model or of all."""
    name = check_model_name(model) if model else None
    return answer(AuditList(list(services.registry.audit(name, limit))))
