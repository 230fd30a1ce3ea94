"""Schedules of batch jobs over the management API."""

from typing import Any

import httpx
import pytest

from augurium.core.clock import ManualClock
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

SCHEDULES = "/api/v1/batch-schedules"
HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def fraud(registry: MemoryRegistry, draft: VersionDraft) -> None:
    registry.register("fraud", draft, "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")


def asked(name: str = "nightly", **spec: Any) -> dict[str, Any]:
    job = {
        "model": "fraud",
        "input": {"paths": ["/data/in/{date}"]},
        "output": {"path": "/data/out/{date}"},
    }
    return {"name": name, "spec": {"job": job, "cron": "0 2 * * *"} | spec}


async def created(api: httpx.AsyncClient, name: str = "nightly", **spec: Any) -> dict[str, Any]:
    answer = await api.post(SCHEDULES, json=asked(name, **spec))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_schedule_is_created_told_and_listed(api: httpx.AsyncClient) -> None:
    found = await created(api, timezone="Europe/Berlin")

    assert (found["name"], found["model"], found["paused"]) == ("nightly", "fraud", False)
    assert found["spec"]["job"]["output"]["path"] == "/data/out/{date}"
    # 02:00 in Berlin
    assert found["next_at"] == "2026-01-01T01:00:00Z"
    assert [run["end"][:13] for run in found["next_runs"]] == [
        f"2026-01-0{day}T01" for day in range(1, 6)
    ]
    assert (await api.get(f"{SCHEDULES}/nightly")).json() == found
    (listed,) = (await api.get(SCHEDULES)).json()["schedules"]
    assert {key: found[key] for key in listed} == listed
    assert (await api.get(SCHEDULES, params={"model": "churn"})).json() == {"schedules": []}
    for count in (0, 1, 100):
        some = (await api.get(f"{SCHEDULES}/nightly", params={"upcoming": count})).json()
        assert (len(some["next_runs"]), some["next_at"]) == (count, found["next_at"])


async def test_a_name_that_is_taken_is_a_conflict_unless_it_is_to_be_replaced(
    api: httpx.AsyncClient,
) -> None:
    await created(api)
    refused = await api.post(SCHEDULES, json=asked(cron="daily"))
    assert (refused.status_code, "--replace" in refused.text) == (409, True)

    replaced = await api.post(SCHEDULES, json=asked(cron="daily") | {"replace": True})

    assert (replaced.status_code, replaced.json()["cron"]) == (201, "daily")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"cron": "tonight"}, "cannot be read"),
        ({"cron": "", "arrival": None}, "give one of them"),
        ({"timezone": "Mars"}, "time zone"),
        ({"overlap": "both"}, "overlap"),
        ({"most_catch_up": 0}, "most_catch_up"),
        ({"arrival": {"poll_s": 0}}, "poll_s"),
    ],
)
async def test_a_schedule_that_cannot_be_is_refused_with_a_reason(
    api: httpx.AsyncClient, spec: dict[str, Any], says: str
) -> None:
    answer = await api.post(SCHEDULES, json=asked(**spec))

    assert answer.status_code == 400
    assert says in answer.json()["error"]


async def test_a_schedule_rests_and_goes_on(api: httpx.AsyncClient) -> None:
    await created(api)
    paused = (await api.post(f"{SCHEDULES}/nightly/pause")).json()
    assert (paused["paused"], paused["next_at"], paused["next_runs"]) == (True, None, [])

    resumed = (await api.post(f"{SCHEDULES}/nightly/resume")).json()

    assert (resumed["paused"], resumed["next_at"]) == (False, "2026-01-01T02:00:00Z")


async def test_days_of_the_past_are_ordered_and_listed(
    api: httpx.AsyncClient, clock: ManualClock
) -> None:
    await created(api)
    clock.advance(72 * HOUR_S)
    days = {"first": "2026-01-01", "last": "2026-01-02"}

    ordered = await api.post(f"{SCHEDULES}/nightly/runs", json=days)

    assert ordered.status_code == 201
    assert [run["start"] for run in ordered.json()["runs"]] == [
        "2026-01-01T02:00:00Z",
        "2026-01-02T02:00:00Z",
    ]
    again = (await api.post(f"{SCHEDULES}/nightly/runs", json=days)).json()
    assert again == {"runs": [], "left_out": 2}
    newest = (await api.post(f"{SCHEDULES}/nightly/runs", json={"again": True})).json()
    assert newest["runs"][0]["start"] == "2026-01-02T02:00:00Z"
    runs = (await api.get(f"{SCHEDULES}/nightly/runs", params={"before": 3})).json()["runs"]
    assert [run["number"] for run in runs] == [2, 1]
    one_day = (await api.post(f"{SCHEDULES}/nightly/runs", json={"first": "2025-12-30"})).json()
    assert [run["start"][:10] for run in one_day["runs"]] == ["2025-12-30"]


async def test_what_there_is_not_is_not_found(api: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/runs"),
        ("POST", "/runs"),
        ("POST", "/pause"),
        ("POST", "/resume"),
    ):
        answer = await api.request(method, f"{SCHEDULES}/nobody{path}", json={})
        assert answer.status_code == 404, (method, path)
        assert "augurium batch schedule list" in answer.text
    unknown = asked()
    unknown["spec"]["job"]["model"] = "nobody"
    assert (await api.post(SCHEDULES, json=unknown)).status_code == 404


async def test_a_deleted_schedule_is_gone(api: httpx.AsyncClient) -> None:
    await created(api)
    deleted = await api.delete(f"{SCHEDULES}/nightly")

    assert (deleted.status_code, deleted.json()["name"]) == (200, "nightly")
    assert (await api.get(SCHEDULES)).json() == {"schedules": []}
