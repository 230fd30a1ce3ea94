"""The part of the clients that asks what the variants of a model did."""

from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

import msgspec

from augurium.client.async_connection import AsyncConnection
from augurium.client.connection import Connection, api_url
from augurium.client.deadline import Deadline

Step = Literal["1m", "1h", "1d"]


class ErrorRate(msgspec.Struct, frozen=True):
    """The share of requests that failed, and where the true one lies with 95 % confidence."""

    rate: float
    low: float
    high: float


class VariantTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one variant of a version; the empty name is for what no policy chose.

    `mistakes` are requests with an error that their caller made; `errors` the other failures, and
    `error_rate` their share of the requests without mistakes. `outcomes` are all requests by `ok`
    or error kind. `slo_breaches` took longer than the model's objective, `degraded` were answered
    by the fallback. The score is the first number of an answer; its `score_squares` are the sum of
    its squares.
    """

    version: int
    variant: str
    requests: int
    mistakes: int
    errors: int
    error_rate: ErrorRate | None
    outcomes: dict[str, int]
    slo_breaches: int
    degraded: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float | None
    score_count: int
    score_sum: float
    score_squares: float
    score_mean: float | None


class SeriesPoint(VariantTotals, frozen=True, kw_only=True):
    """What was counted of one variant in the step that begins `at`."""

    at: datetime


class ModelVariants(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a model's variants since the node started, and the model's objective."""

    model: str
    at: datetime
    slo_ms: float
    variants: tuple[VariantTotals, ...]


class ModelSeries(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a model's variants by time; steps in which nothing was asked are left
    out. `variants` are the sums of all of them.
    """

    model: str
    step_s: int
    start: datetime
    end: datetime
    variants: tuple[VariantTotals, ...]
    points: tuple[SeriesPoint, ...]


class SeriesCalls:
    """What the variants of models did."""

    _connection: Connection

    def variants(self, name: str) -> ModelVariants:
        """What was counted of every variant of a model since the node started. Raises NotFound."""
        url = api_url(self._connection.url, "models", name, "variants")
        return self._connection.call("GET", url, ModelVariants)

    def series(
        self,
        name: str,
        start: datetime | None = None,
        end: datetime | None = None,
        step: Step = "1m",
        version: int | None = None,
        variant: str | None = None,
    ) -> ModelSeries:
        """What the variants of a model did, by the minute, the hour or the day; the last hour if no
        `start` is given.

        Raises NotFound, and InvalidArgument for more steps than can be told at once.
        """
        url = _series_url(self._connection.url, name, start, end, step, version, variant)
        return self._connection.call("GET", url, ModelSeries)


class AsyncSeriesCalls:
    """As `SeriesCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def variants(self, name: str) -> ModelVariants:
        """As `Client.variants`."""
        url = api_url(self._connection.url, "models", name, "variants")
        return await self._connection.get(url, ModelVariants, Deadline(self._timeout_s))

    async def series(
        self,
        name: str,
        start: datetime | None = None,
        end: datetime | None = None,
        step: Step = "1m",
        version: int | None = None,
        variant: str | None = None,
    ) -> ModelSeries:
        """As `Client.series`."""
        url = _series_url(self._connection.url, name, start, end, step, version, variant)
        return await self._connection.get(url, ModelSeries, Deadline(self._timeout_s))


def _series_url(
    url: str,
    name: str,
    start: datetime | None,
    end: datetime | None,
    step: str,
    version: int | None,
    variant: str | None,
) -> str:
    asked = {
        "start": start.isoformat() if start else None,
        "end": end.isoformat() if end else None,
        "step": step,
        "version": version,
        "variant": variant,
    }
    said = urlencode({key: value for key, value in asked.items() if value is not None})
    return f"{api_url(url, 'models', name, 'series')}?{said}"
