"""The part of the clients that asks for recorded predictions."""

from datetime import datetime
from typing import Any, TypedDict, Unpack
from urllib.parse import urlencode

import msgspec

from augurium.client.async_connection import AsyncConnection
from augurium.client.connection import Connection, api_url
from augurium.client.deadline import Deadline


class RecordedPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it was recorded. `inputs` and `outputs` are None where it was not `sampled`.

    `score` is the first number of the first output, `outcome` `ok` or an error kind, `unit` who or
    what the traffic policy assigned to the `variant`.
    """

    at: datetime
    prediction_id: str
    model: str
    version: int
    variant: str = ""
    unit: str = ""
    score: float | None = None
    seconds: float = 0.0
    outcome: str = "ok"
    sampled: bool = False
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None


class PredictionFilter(TypedDict, total=False):
    """Which predictions are wanted: ended between `start` and `end`, the last hour if not given,
    at most `limit` of them (100 unless told otherwise, at most 1000).
    """

    start: datetime
    end: datetime
    version: int
    variant: str
    outcome: str
    limit: int


class _Found(msgspec.Struct, frozen=True):
    predictions: tuple[RecordedPrediction, ...]


class PredictionCalls:
    """Recorded predictions."""

    _connection: Connection

    def predictions(
        self, name: str, **wanted: Unpack[PredictionFilter]
    ) -> tuple[RecordedPrediction, ...]:
        """The newest recorded predictions of a model, the newest first. Raises NotFound."""
        url = _url(self._connection.url, name, wanted)
        return self._connection.call("GET", url, _Found).predictions


class AsyncPredictionCalls:
    """As `PredictionCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def predictions(
        self, name: str, **wanted: Unpack[PredictionFilter]
    ) -> tuple[RecordedPrediction, ...]:
        """As `Client.predictions`."""
        url = _url(self._connection.url, name, wanted)
        found = await self._connection.get(url, _Found, Deadline(self._timeout_s))
        return found.predictions


def _url(server: str, name: str, wanted: PredictionFilter) -> str:
    said = {
        key: value.isoformat() if isinstance(value, datetime) else str(value)
        for key, value in wanted.items()
    }
    return f"{api_url(server, 'models', name, 'predictions')}?{urlencode(said)}"
