"""Routes: what the node does now."""

from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.activity import Activity, activity
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.serving.runner_suspects import Suspects

router = APIRouter(tags=["server"])


@router.get("/activity", **described(Activity))
async def get_activity(services: ServicesOf, caller: CallerOf) -> Response:
    """Every deployed version with its place in memory and its counters, and the engines."""
    suspects = Suspects(services.node.home.run)
    return answer(await activity(services.hub, caller.sees, services.accelerators, suspects))
