"""Routes: what shadows have shown."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.control.shadow_report import ShadowReport, shadow_report

router = APIRouter(tags=["traffic"])


@router.get("/models/{model}/shadow", **described(ShadowReport))
async def get_shadow(model: ModelName, services: ServicesOf) -> Response:
    """How the answers of shadows differ from those that callers were given, with examples, which
    are rows of callers; since control started.
    """
    await asyncio.to_thread(services.registry.model, model)
    metrics = await services.hub.collect()
    return answer(shadow_report(model, services.hub.snapshot, metrics))
