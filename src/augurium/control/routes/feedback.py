"""Routes: feedback."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from augurium.control.feedback_body import pieces
from augurium.control.feedback_intake import FeedbackIntake, FeedbackReceipt
from augurium.control.routes.answers import REFERENCE, answer, described
from augurium.control.routes.parameters import CallerOf, ModelName, ServicesOf
from augurium.core.errors import InvalidArgument, UnsupportedMedia
from augurium.feedback.last_values import ALWAYS, FeedbackValue, MetricSummary, newest, summary
from augurium.protocols.media_types import Form, form_named

router = APIRouter(tags=["feedback"])
Limit = Annotated[int, Query(ge=1, le=10_000)]
LINE = {"$ref": REFERENCE.format(name="FeedbackLine")}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            Form.JSON.value: {"schema": {"anyOf": [LINE, {"type": "array", "items": LINE}]}},
            Form.LINES.value: {"schema": {"type": "string"}},
        },
    }
}


class FeedbackList(msgspec.Struct, frozen=True):
    """The values that were received last, the newest first; `more` if there are others."""

    model: str
    values: list[FeedbackValue]
    more: bool


class FeedbackSummary(msgspec.Struct, frozen=True):
    """What there is of each metric, by name."""

    model: str
    metrics: list[MetricSummary]


@router.post("/feedback", **described(FeedbackReceipt) | {"openapi_extra": BODY})
async def send_feedback(request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """Takes outcomes of predictions: an object, an array, or JSON Lines of any length.

    Rows that do not fit are rejected, the others are durable when the answer comes. The same rows
    may be sent again: the one that was received last for a model, a prediction or unit, a name and
    an id is the one that counts.
    """
    media = request.headers.get("content-type", Form.JSON.value)
    form = form_named(media)
    intake = FeedbackIntake(services.feedback, caller.sees)
    if form is Form.LINES:
        return answer(await intake.lines(pieces(request)))
    if form is Form.JSON:
        return answer(await intake.json(pieces(request)))
    raise UnsupportedMedia(
        f"content-type {media[:64]!r} is not feedback; expected application/json or "
        "application/x-ndjson"
    )


@router.get("/models/{model}/feedback", **described(FeedbackList))
async def get_feedback(
    model: ModelName,
    services: ServicesOf,
    start: str | None = None,
    end: str | None = None,
    name: str | None = None,
    limit: Limit = 100,
) -> Response:
    """The last values of outcomes from `start` until before `end`, of all metrics or one."""
    between = _between(start, end)

    def read() -> FeedbackList:
        with services.feedback.last_values(model, *between) as connection:
            values = newest(connection, limit + 1, name)
        return FeedbackList(model, values[:limit], len(values) > limit)

    return answer(await asyncio.to_thread(read))


@router.get("/models/{model}/feedback/summary", **described(FeedbackSummary))
async def get_feedback_summary(
    model: ModelName, services: ServicesOf, start: str | None = None, end: str | None = None
) -> Response:
    """Counts, times and means of outcomes from `start` until before `end`, by metric."""
    between = _between(start, end)

    def read() -> FeedbackSummary:
        with services.feedback.last_values(model, *between) as connection:
            return FeedbackSummary(model, summary(connection))

    return answer(await asyncio.to_thread(read))


def _between(start: str | None, end: str | None) -> tuple[float, float]:
    return (
        ALWAYS[0] if start is None else _seconds("start", start),
        ALWAYS[1] if end is None else _seconds("end", end),
    )


def _seconds(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"{name}: {text[:64]!r} is not an ISO 8601 time; expected one such as "
            "2026-01-31T12:00:00Z"
        ) from error
