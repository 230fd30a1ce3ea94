"""Routes: metrics."""

import asyncio
import gzip

from fastapi import APIRouter, Request
from starlette.responses import Response

from augurium.control.exposition import CONTENT_TYPE
from augurium.control.metrics import NodeFacts, render
from augurium.control.routes.parameters import ServicesOf
from augurium.serving.metrics import EngineMetrics

router = APIRouter(tags=["server"])
# the fastest: a page repeats itself
COMPRESSION = 1


@router.get("/metrics", response_class=Response)
async def get_metrics(request: Request, services: ServicesOf) -> Response:
    """Counters, gauges and histograms of all engines in Prometheus' text format."""
    metrics = await services.hub.collect()
    hub = services.hub
    node = NodeFacts(
        engines_connected=len(hub.links()),
        snapshot_revision=hub.snapshot.revision,
        restarts={slot.hello.engine: slot.restarts for slot in hub.slots()},
        engines=services.engines.counts,
        scaling_decisions=services.engines.scaling.counts,
        replica_decisions={
            name: model.scaler.counts for name, model in sorted(services.replicas.models.items())
        },
        counters={link.hello.engine: link.counters for link in hub.links()},
        predictions=services.predictions.counts,
        feedback=services.feedback.counts.by_model(),
        feedback_rejected=services.feedback.counts.rejected,
        devices=await asyncio.to_thread(services.accelerators.read),
        rollouts={
            held.rollout.model: (held.rollout.kind, held.rollout.version, held.standing.status)
            for held in services.rollouts.active
        },
        rollbacks=services.rollouts.keeper.rollbacks,
        webhooks=services.rollouts.feed.webhooks.counts,
        batch=services.batch.dispatcher.counts,
        schedules=services.batch_schedules.facts,
    )
    # a thousand models make a long page; it must not hold up the loop
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    page = await asyncio.to_thread(_page, metrics, node, compressed)
    headers = {"content-type": CONTENT_TYPE, "vary": "accept-encoding"}
    if compressed:
        headers["content-encoding"] = "gzip"
    return Response(page, headers=headers)


def _page(metrics: EngineMetrics, node: NodeFacts, compressed: bool) -> bytes:
    page = render(metrics, node)
    return gzip.compress(page, COMPRESSION) if compressed else page
