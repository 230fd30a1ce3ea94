"""Routes: search."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.registry.records import SearchPage

router = APIRouter(tags=["search"])
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/search", **described(SearchPage))
def search(
    services: ServicesOf,
    caller: CallerOf,
    q: str = "",
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The versions for which a query holds, by model and number, as summaries."""
    sees = caller.sees if caller.models else None
    return answer(services.registry.search(q, limit, cursor, sees))
