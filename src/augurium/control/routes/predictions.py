"""Routes: recorded predictions."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.prediction_records import PredictionFilter
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.core.errors import InvalidArgument

router = APIRouter(tags=["predictions"])
RECENT = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Limit = Annotated[int, Query(ge=1, le=1000)]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Text = Annotated[str | None, Query(max_length=256)]


class RecordedPrediction(msgspec.Struct, frozen=True):
    """One request that was recorded; `inputs` and `outputs` are null where they were not.

    `outcome` is `ok` or an error kind, `score` the first number of the first output.
    """

    at: datetime
    prediction_id: str
    model: str
    version: int
    variant: str
    unit: str
    score: float | None
    seconds: float
    outcome: str
    sampled: bool
    inputs: msgspec.Raw | None = None
    outputs: msgspec.Raw | None = None


class PredictionList(msgspec.Struct, frozen=True):
    """Recorded predictions, the newest first."""

    predictions: list[RecordedPrediction]


@router.get("/models/{model}/predictions", **described(PredictionList))
async def get_predictions(
    model: ModelName,
    services: ServicesOf,
    start: str | None = None,
    end: str | None = None,
    version: Version = None,
    variant: Text = None,
    outcome: Text = None,
    limit: Limit = 100,
) -> Response:
    """The newest recorded predictions of a model between two times; of the last hour if none are
    given.
    """
    services.registry.model(model)
    until = datetime.now(UTC) + timedelta(seconds=1) if end is None else _moment("end", end)
    since = max(until, EPOCH + RECENT) - RECENT if start is None else _moment("start", start)
    wanted = PredictionFilter(since, until, limit, version, variant, outcome)
    found = await services.predictions.find(model, wanted)
    return answer(
        PredictionList(
            [
                RecordedPrediction(
                    datetime.fromtimestamp(row.at, UTC),
                    row.prediction_id,
                    row.model,
                    row.version,
                    row.variant,
                    row.unit,
                    row.score,
                    row.seconds,
                    row.outcome,
                    row.sampled,
                    _json(row.inputs),
                    _json(row.outputs),
                )
                for row in found
            ]
        )
    )


def _json(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


def _moment(what: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        # a time without a zone is one of UTC; one at the edge of the calendar has no other
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"{what}: {text[:64]!r} is not an ISO 8601 time; expected one such as "
            "2026-01-31T12:00:00Z"
        ) from error
