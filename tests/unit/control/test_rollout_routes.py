"""Rollouts over the management API: started, listed, told, ordered about, followed."""

import asyncio

import httpx
import msgspec
import pytest

from augurium.control.services import Services
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

ROLLOUTS = "/api/v1/rollouts"


@pytest.fixture
def fraud(registry: MemoryRegistry, draft: VersionDraft) -> MemoryRegistry:
    """A model with two deployed versions, the first of them the default."""
    for number in (1, 2):
        registry.register("fraud", draft, "ann")
        registry.set_deployed("fraud", number, True, "ann")
    registry.set_default("fraud", 1, "ann")
    return registry


@pytest.fixture
async def published(fraud: MemoryRegistry, services: Services) -> Services:
    """Engines could know of the model."""
    await services.traffic.set("fraud", None, "ann")
    return services


async def started(api: httpx.AsyncClient, **plan: object) -> httpx.Response:
    body = {"model": "fraud", "kind": "canary", "plan": {"version": 2} | plan}
    return await api.post(ROLLOUTS, json=body)


async def test_a_rollout_is_started_and_told(api: httpx.AsyncClient, published: Services) -> None:
    answer = await started(api, steps=[10, 100])

    found = answer.json()
    assert answer.status_code == 201
    assert (found["kind"], found["version"], found["control"]) == ("canary", 2, 1)
    assert (found["status"], found["created_by"]) == ("running", "local")
    assert found["weights"] == {"v1": 100.0, "v2": 0.0}
    assert found["plan"]["steps"] == [10, 100]
    assert (await api.get(f"{ROLLOUTS}/{found['id']}")).json()["id"] == found["id"]
    traffic = (await api.get("/api/v1/models/fraud/traffic")).json()
    assert [variant["version"] for variant in traffic["policy"]["split"]] == [1, 2]


async def test_a_second_one_is_a_conflict_with_who_and_when(
    api: httpx.AsyncClient, published: Services
) -> None:
    await started(api)
    answer = await started(api)

    assert answer.status_code == 409
    assert "started by local at 2026-01-01" in answer.json()["error"]


@pytest.mark.parametrize(
    ("plan", "status", "said"),
    [
        ({"version": 1}, 400, "default already"),
        ({"steps": [50, 10]}, 400, "do not grow"),
        ({"speed": 3}, 400, "speed"),
        ({"quality": {"name": "bought"}}, 400, "margin"),
        ({"version": 9}, 409, "--no-default"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_with_the_reason(
    api: httpx.AsyncClient, published: Services, plan: dict[str, object], status: int, said: str
) -> None:
    answer = await started(api, **plan)

    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert (await api.get(ROLLOUTS)).json() == {"rollouts": []}


async def test_rollouts_are_listed_by_model_and_by_whether_they_are_active(
    api: httpx.AsyncClient, published: Services
) -> None:
    first = (await started(api)).json()["id"]
    await api.post(f"{ROLLOUTS}/{first}/abort", json={"reason": "no"})
    second = (await started(api)).json()["id"]

    async def ids(query: str) -> list[str]:
        found = (await api.get(f"{ROLLOUTS}?{query}")).json()["rollouts"]
        return sorted(one["id"] for one in found)

    assert await ids("") == sorted([first, second])
    assert await ids("active=true") == [second]
    assert await ids("model=fraud&active=false") == [first]
    assert await ids("model=churn") == []


async def test_operators_pause_resume_and_abort(
    api: httpx.AsyncClient, published: Services
) -> None:
    path = f"{ROLLOUTS}/{(await started(api)).json()['id']}"
    states = []
    for order in ("pause", "resume", "abort"):
        answer = await api.post(f"{path}/{order}", json={"reason": "because"})
        assert answer.status_code == 200, answer.text
        states.append((answer.json()["status"], answer.json()["reason"]))

    assert states == [
        ("paused", "paused by local: because"),
        ("running", "resumed by local: because"),
        ("rolled_back", "aborted by local: because"),
    ]
    assert (await api.post(f"{path}/resume", json={})).status_code == 409
    assert (await api.get("/api/v1/models/fraud/traffic")).json()["policy"] is None


async def test_a_version_of_a_running_rollout_cannot_be_taken_away(
    api: httpx.AsyncClient, published: Services
) -> None:
    await started(api)

    undeployed = await api.delete("/api/v1/models/fraud/deployments/2")
    deleted = await api.delete("/api/v1/models/fraud/versions/2")
    assert (undeployed.status_code, deleted.status_code) == (409, 409)


async def test_events_are_told_of_one_rollout_and_of_all(
    api: httpx.AsyncClient, published: Services
) -> None:
    rollout = (await started(api)).json()["id"]
    await api.post(f"{ROLLOUTS}/{rollout}/pause", json={})
    of_one = (await api.get(f"{ROLLOUTS}/{rollout}/events")).json()
    of_all = (await api.get("/api/v1/events?after=1")).json()

    assert [event["kind"] for event in of_one["events"]] == ["started", "paused"]
    assert [event["kind"] for event in of_all["events"]] == ["paused"]
    assert of_all["newest"] == 2
    assert (await api.get("/api/v1/events")).json() == {"events": [], "newest": 2}


async def test_who_waits_for_events_gets_the_next_one(
    api: httpx.AsyncClient, published: Services
) -> None:
    rollout = (await started(api)).json()["id"]
    waiting = asyncio.create_task(api.get("/api/v1/events?after=1&wait_s=30"))
    await asyncio.sleep(0)
    await api.post(f"{ROLLOUTS}/{rollout}/pause", json={})

    async with asyncio.timeout(10):
        found = (await waiting).json()
    assert [event["kind"] for event in found["events"]] == ["paused"]


async def test_events_are_streamed_as_the_standard_says(
    api: httpx.AsyncClient, published: Services
) -> None:
    await started(api)
    # it ends when the process does; what there is comes first
    published.rollouts.feed.stop()
    headers = {"accept": "text/event-stream", "last-event-id": "0"}
    answer = await api.get("/api/v1/events", headers=headers)

    assert answer.headers["content-type"].startswith("text/event-stream")
    number, kind, data = answer.text.split("\n\n")[1].split("\n")
    assert (number, kind) == ("id: 1", "event: started")
    assert msgspec.json.decode(data.removeprefix("data: "))["model"] == "fraud"


@pytest.mark.parametrize("rollout", ["nobody", "a" * 32, "%00"])
async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient, rollout: str) -> None:
    assert (await api.get(f"{ROLLOUTS}/{rollout}")).status_code == 404
    assert (await api.get(f"{ROLLOUTS}/{rollout}/events")).status_code == 404
    assert (await api.post(f"{ROLLOUTS}/{rollout}/abort", json={})).status_code == 404


async def test_metrics_tell_of_active_rollouts_and_rollbacks(
    api: httpx.AsyncClient, published: Services
) -> None:
    rollout = (await started(api)).json()["id"]
    during = (await api.get("/metrics")).text
    await api.post(f"{ROLLOUTS}/{rollout}/abort", json={})
    after = (await api.get("/metrics")).text

    labels = 'model="fraud",kind="canary",version="2",state="running"'
    assert f"augurium_rollout_state{{{labels}}} 1" in during
    assert "augurium_rollout_state{" not in after
    assert 'augurium_canary_rollbacks_total{model="fraud",reason="operator"} 1' in after
