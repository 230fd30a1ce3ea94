"""Recorded predictions over the management API."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from augurium.control.services import Services
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft
from augurium.serving.link import Predictions
from augurium.serving.logged_prediction import encode_predictions

URL = "/api/v1/models/m/predictions"


@pytest.fixture
def model(registry: MemoryRegistry, draft: VersionDraft) -> None:
    registry.register("m", draft, "me")


def take(services: Services, id_: str, at: datetime) -> None:
    values = (0.5, 0.1, "ok", True, '{"x":[1.5]}', '{"y":["\u00fc"]}')
    row = (at.timestamp(), id_, "m", 1, "a", "u", *values)
    services.predictions.take(Predictions(encode_predictions([row]), 1))


async def test_the_newest_of_the_last_hour_come_first(
    api: httpx.AsyncClient, services: Services, model: None
) -> None:
    now = datetime.now(UTC)
    for id_, minutes in (("old", 90), ("first", 2), ("second", 1)):
        take(services, id_, now - timedelta(minutes=minutes))

    found = (await api.get(URL)).json()["predictions"]

    assert [record["prediction_id"] for record in found] == ["second", "first"]
    assert found[0]["inputs"] == {"x": [1.5]}
    assert found[0]["outputs"] == {"y": ["\u00fc"]}


async def test_a_range_of_time_and_a_limit_are_kept_to(
    api: httpx.AsyncClient, services: Services, model: None
) -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for minute in range(5):
        take(services, f"r{minute}", start + timedelta(minutes=minute))

    answer = await api.get(
        URL, params={"start": "2026-05-01T12:01:00Z", "end": "2026-05-01T12:04", "limit": "2"}
    )

    assert [record["prediction_id"] for record in answer.json()["predictions"]] == ["r3", "r2"]


@pytest.mark.parametrize(
    "query",
    ["start=yesterday", "end=2026-13-01", "limit=0", "limit=100000", "version=0", "version=x"],
)
async def test_what_makes_no_sense_is_refused(
    api: httpx.AsyncClient, model: None, query: str
) -> None:
    assert (await api.get(f"{URL}?{query}")).status_code == 400


@pytest.mark.parametrize("query", ["end=0001-01-01T00:00:00Z", "start=9999-12-31T23:59:59Z"])
async def test_the_edges_of_the_calendar_have_no_predictions(
    api: httpx.AsyncClient, model: None, query: str
) -> None:
    answer = await api.get(f"{URL}?{query}")

    assert answer.status_code == 200
    assert answer.json() == {"predictions": []}


async def test_a_model_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.get(URL)).status_code == 404
