"""Routes: garbage collection."""

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from msgspec import Meta
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, ServicesOf, json_body
from augurium.registry.garbage import GRACE, RETENTION, Collection

router = APIRouter(tags=["garbage"])
# a hundred years
Seconds = Annotated[float, Meta(ge=0, le=100 * 365.25 * 86400)]


class CollectionOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall go: files unneeded and older than `grace_s`, and versions that were deleted longer
    than `retention_s` ago. A dry run only tells.
    """

    dry_run: bool = False
    grace_s: Seconds = GRACE.total_seconds()
    retention_s: Seconds = RETENTION.total_seconds()


OrderBody = Annotated[CollectionOrder, Depends(json_body(CollectionOrder))]


@router.post("/gc", **described(Collection, takes=CollectionOrder))
def collect(order: OrderBody, services: ServicesOf, actor: ActorOf) -> Response:
    """Purges what was deleted long ago, and removes files that no version stands on."""
    grace, retention = timedelta(seconds=order.grace_s), timedelta(seconds=order.retention_s)
    collection = services.garbage.collect(actor, grace, retention, order.dry_run)
    if not order.dry_run:
        services.predictions.forget_purged(
            services.registry, {version.model for version in collection.purged}
        )
        if collection.purged:
            services.feedback.forget_purged()
    return answer(collection)
