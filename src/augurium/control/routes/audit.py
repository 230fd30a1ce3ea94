"""Routes: the audit log."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.core.identifiers import check_model_name
from augurium.registry.chain import AuditCheck
from augurium.registry.records import AuditEntry

router = APIRouter(tags=["audit"])
Limit = Annotated[int, Query(ge=1, le=1000)]
Revision = Annotated[int, Query(ge=1, le=2**63 - 1)]


class AuditList(msgspec.Struct, frozen=True):
    """Changes, the newest first."""

    entries: list[AuditEntry]


@router.get("/audit", **described(AuditList))
def list_audit(
    services: ServicesOf,
    caller: CallerOf,
    model: str | None = None,
    limit: Limit = 100,
    before: Revision | None = None,
) -> Response:
    """The newest changes first, of one model or of all; `before` is the revision of the last one
    seen.
    """
    name = check_model_name(model) if model else None
    sees = caller.sees_entry if caller.models else None
    return answer(AuditList(list(services.registry.audit(name, limit, before, sees=sees))))


@router.get("/audit/verification", **described(AuditCheck))
def verify_audit(services: ServicesOf) -> Response:
    """Walks the hash chain of the whole log; tells its head and the first faults."""
    return answer(services.registry.verify_audit())
