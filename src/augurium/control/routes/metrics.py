"""Routes: metrics."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.exposition import CONTENT_TYPE
from augurium.control.metrics import NodeFacts, render
from augurium.control.routes.parameters import ServicesOf

router = APIRouter(tags=["server"])


@router.get("/metrics", response_class=Response)
async def get_metrics(services: ServicesOf) -> Response:
    """Counters, gauges and histograms of all engines in Prometheus' text format."""
    metrics = await services.hub.collect()
    hub = services.hub
    node = NodeFacts(
        engines_connected=len(hub.links()),
        snapshot_revision=hub.snapshot.revision,
        restarts={slot.hello.engine: slot.restarts for slot in hub.slots()},
        engines={link.hello.engine: link.counters for link in hub.links()},
    )
    # a thousand models make a long page; it must not hold up the loop
    page = await asyncio.to_thread(render, metrics, node)
    return Response(page, headers={"content-type": CONTENT_TYPE})
