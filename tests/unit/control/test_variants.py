"""The routes that tell what variants did."""

from typing import Any

import httpx
import msgspec
import pytest

from augurium.client.series_calls import ModelSeries, ModelVariants
from augurium.control.services import Services
from augurium.control.variant_ticks import Arm, Tick
from augurium.control.variant_totals import error_rate
from augurium.core.clock import ManualClock
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft
from augurium.serving.metrics import VersionMetrics

SERIES = "/api/v1/models/iris/series"
DAY = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}


@pytest.fixture(autouse=True)
def _registered(registry: MemoryRegistry, draft: VersionDraft) -> None:
    registry.register("iris", draft, "test")


def counted(requests: int) -> VersionMetrics:
    version = VersionMetrics("iris", 1)
    for _ in range(requests):
        version.ended("ok", 0.2, "v1").scored(0.5)
    version.ended("model_failed", 0.2, "v1")
    version.ended("invalid_argument", 0.0, "v1")
    return version


def take(services: Services, clock: ManualClock, arm: Arm, requests: int) -> None:
    clock.advance(60)
    metrics = counted(requests).variants["v1"]
    tick = Tick(0, clock.now().timestamp(), 60.0, {arm: metrics})
    services.series.take({"iris": tick})


async def series(api: httpx.AsyncClient, **asked: Any) -> ModelSeries:
    reply = await api.get(SERIES, params={**DAY, **asked})
    assert reply.status_code == 200, reply.text
    return msgspec.json.decode(reply.content, type=ModelSeries)


async def test_a_model_tells_what_its_variants_did_by_the_minute(
    api: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    take(services, clock, Arm(1, "v1"), 3)
    await services.series.flush()
    take(services, clock, Arm(1, "v1"), 5)
    take(services, clock, Arm(2, "challenger"), 1)

    found = await series(api)

    assert (found.model, found.step_s) == ("iris", 60)
    assert [(p.at.minute, p.version, p.variant, p.requests) for p in found.points] == [
        (0, 1, "v1", 5),
        (1, 1, "v1", 7),
        (2, 2, "challenger", 3),
    ]
    whole = found.variants[0]
    assert (whole.requests, whole.mistakes, whole.errors) == (12, 2, 2)
    assert whole.outcomes == {"ok": 8, "model_failed": 2, "invalid_argument": 2}
    assert (whole.slo_breaches, whole.score_count, whole.score_mean) == (8, 8, 0.5)
    assert whole.p50_ms == pytest.approx(200, rel=0.01)
    assert whole.error_rate is not None
    assert whole.error_rate.rate == 0.2


@pytest.mark.parametrize(
    ("asked", "points"),
    [
        ({"step": "1h"}, 2),
        ({"step": "1d"}, 2),
        ({"version": 2}, 1),
        ({"variant": "v1"}, 2),
        ({"variant": ""}, 0),
        ({"start": "2026-01-01T00:01:30Z"}, 2),
        ({"end": "2026-01-01T00:01:00Z"}, 1),
        ({"end": "2026-01-01T00:00:00Z"}, 0),
    ],
    ids=str,
)
async def test_what_is_told_can_be_narrowed(
    api: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    asked: dict[str, Any],
    points: int,
) -> None:
    take(services, clock, Arm(1, "v1"), 3)
    take(services, clock, Arm(1, "v1"), 5)
    take(services, clock, Arm(2, "challenger"), 1)

    assert len((await series(api, **asked)).points) == points


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"start": "yesterday"}, "start: 'yesterday' is not an ISO 8601 time"),
        ({"end": "2026-01-01"}, "has no time zone"),
        ({"start": "2026-01-03T00:00:00Z"}, "start is after end"),
        ({"start": "2025-01-01T00:00:00Z"}, "more than 3000 steps"),
        ({"step": "2m"}, "step"),
        ({"version": 0}, "version"),
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(
    api: httpx.AsyncClient, asked: dict[str, str], message: str
) -> None:
    reply = await api.get(SERIES, params={**DAY, **asked})

    assert reply.status_code == 400
    assert reply.json()["kind"] == "invalid_argument"
    assert message in reply.json()["error"]


@pytest.mark.parametrize("what", ["series", "variants"])
async def test_a_model_that_is_not_there_is_not_found(api: httpx.AsyncClient, what: str) -> None:
    assert (await api.get(f"/api/v1/models/rose/{what}")).status_code == 404


async def test_a_model_of_which_nobody_asked_has_no_variants(api: httpx.AsyncClient) -> None:
    reply = await api.get("/api/v1/models/iris/variants")

    found = msgspec.json.decode(reply.content, type=ModelVariants)
    assert (found.model, found.slo_ms, found.variants) == ("iris", 100.0, ())


def test_an_error_rate_has_an_interval() -> None:
    found = error_rate(10, 100)

    assert found is not None
    assert (found.rate, found.low, found.high) == pytest.approx((0.1, 0.055229, 0.174366), abs=1e-6)
    assert error_rate(0, 0) is None


@pytest.mark.parametrize(("errors", "low", "high"), [(0, 0.0, 0.0370), (100, 0.9630, 1.0)])
def test_nothing_and_everything_are_no_rounding(errors: int, low: float, high: float) -> None:
    found = error_rate(errors, 100)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert (found.low == 0.0) == (errors == 0)
