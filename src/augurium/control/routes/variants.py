"""Routes: what the variants of a model did, until now and over time."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.moments import moment
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.control.series import Point
from augurium.control.variant_totals import VariantTotals, fields_of, totals_of
from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import MAX_VERSION
from augurium.registry.variant_series import DAY_S, HOUR_S, MINUTE_S
from augurium.serving.variant_metrics import VariantMetrics, Variants

router = APIRouter(tags=["traffic"])
STEPS: Mapping[str, int] = {"1m": MINUTE_S, "1h": HOUR_S, "1d": DAY_S}
MOST_STEPS = 3000
Step = Literal["1m", "1h", "1d"]
VersionOf = Annotated[int | None, Query(ge=1, le=MAX_VERSION)]


class ModelVariants(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a model's variants since the node started, at the moment `at`, and the
    objective of the model.
    """

    model: str
    at: datetime
    slo_ms: float
    variants: list[VariantTotals]


class SeriesPoint(VariantTotals, frozen=True, kw_only=True):
    """What was counted of one variant in the step that begins `at`."""

    at: datetime


class ModelSeries(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a model's variants in the steps that begin from `start` until before
    `end`, by time; steps in which nothing was asked are left out. `variants` are the sums of all
    of them.
    """

    model: str
    step_s: int
    start: datetime
    end: datetime
    variants: list[VariantTotals]
    points: list[SeriesPoint]


@router.get("/models/{model}/variants", **described(ModelVariants))
async def get_variants(model: ModelName, services: ServicesOf) -> Response:
    """What was counted of every variant of a model since the node started."""
    found = await asyncio.to_thread(services.registry.model, model)
    totals = await services.hub.collect()
    counted = {
        Point(0, version.version, name): metrics
        for version in totals.versions
        if version.model == model
        for name, metrics in version.variants.items()
    }
    return answer(
        ModelVariants(
            model=model,
            at=datetime.now(UTC),
            slo_ms=found.serving.slo.latency_ms,
            variants=_totals(counted),
        )
    )


@router.get("/models/{model}/series", **described(ModelSeries))
async def get_series(
    model: ModelName,
    services: ServicesOf,
    start: str | None = None,
    end: str | None = None,
    step: Step = "1m",
    version: VersionOf = None,
    variant: str | None = None,
) -> Response:
    """What the variants of a model did, by the minute, the hour or the day; the last hour if no
    `start` is given, until now if no `end` is. Hours and days begin with those of UTC.
    """
    step_s = STEPS[step]
    until = datetime.now(UTC).timestamp() if end is None else moment("end", end).timestamp()
    since = until - HOUR_S if start is None else moment("start", start).timestamp()
    first, last = int(since // step_s * step_s), int(until)
    _check_range(first, last, step_s)
    await asyncio.to_thread(services.registry.model, model)
    found = {
        point: metrics
        for point, metrics in (await services.series.read(model, step_s, first, last)).items()
        if version in (None, point.version) and variant in (None, point.variant)
    }
    return answer(
        ModelSeries(
            model=model,
            step_s=step_s,
            start=_time(first),
            end=_time(last),
            variants=_totals(found),
            points=[_point(point, metrics) for point, metrics in found.items()],
        )
    )


def _check_range(first: int, last: int, step_s: int) -> None:
    if last < first:
        raise InvalidArgument("start is after end; expected an earlier one")
    if (last - first) / step_s > MOST_STEPS:
        raise InvalidArgument(
            f"there are more than {MOST_STEPS} steps from start to end; ask for fewer, or for "
            "longer steps"
        )


def _totals(counted: Mapping[Point, VariantMetrics]) -> list[VariantTotals]:
    sums: dict[int, Variants] = {}
    for point, metrics in counted.items():
        of_version = sums.setdefault(point.version, {})
        of_version.setdefault(point.variant, VariantMetrics()).add(metrics)
    return [
        totals_of(version, name, metrics)
        for version, variants in sorted(sums.items())
        for name, metrics in sorted(variants.items())
    ]


def _point(point: Point, metrics: VariantMetrics) -> SeriesPoint:
    return SeriesPoint(at=_time(point.at), **fields_of(point.version, point.variant, metrics))


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
