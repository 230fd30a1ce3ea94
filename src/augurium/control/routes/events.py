"""Routes: events of rollouts, as they happen."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from augurium.control.event_feed import EventFeed
from augurium.control.rollout_views import EventList
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.registry.registry import Sees
from augurium.registry.rollout_records import RolloutEvent

router = APIRouter(tags=["rollouts"])
KEEP_ALIVE_S = 15.0
MEDIA_TYPE = "text/event-stream"
After = Annotated[int | None, Query(ge=0, le=2**63 - 1)]
Wait = Annotated[float, Query(ge=0, le=60)]


@router.get("/events", **described(EventList))
async def list_events(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    after: After = None,
    wait_s: Wait = 0.0,
) -> Response:
    """Events with a number above `after`, the oldest first; without it those from now on.

    Waits up to `wait_s` seconds for one if there is none. Asked for `text/event-stream`, it sends
    them as they happen; `last-event-id` says where to go on.
    """
    sees = caller.sees if caller.models else None
    resumed = request.headers.get("last-event-id", "")
    if resumed.isascii() and resumed.isdigit():
        after = int(resumed)
    start = await services.rollouts.feed.newest() if after is None else after
    if MEDIA_TYPE in request.headers.get("accept", ""):
        headers = {"cache-control": "no-store"}
        return StreamingResponse(
            _stream(services.rollouts.feed, start, sees), media_type=MEDIA_TYPE, headers=headers
        )
    found = await services.rollouts.feed.after(start, wait_s, sees)
    return answer(EventList(list(found), found[-1].number if found else start))


async def _stream(feed: EventFeed, after: int, sees: Sees | None) -> AsyncIterator[bytes]:
    # at once, so that a caller knows that it is connected
    yield b": events\n\n"
    while True:
        found = await feed.after(after, KEEP_ALIVE_S, sees)
        for event in found:
            yield _written(event)
            after = event.number
        if not found and feed.stopping:
            return
        if not found:
            yield b": still there\n\n"


def _written(event: RolloutEvent) -> bytes:
    """As the HTML standard writes server-sent events; JSON has no line breaks."""
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.number, event.kind.encode(), data)
