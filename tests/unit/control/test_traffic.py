"""Traffic policies over the management API."""

from typing import Any

import httpx
import pytest

from augurium.control.services import Services
from augurium.core.errors import Conflict, NotFound
from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

URL = "/api/v1/models/iris/traffic"
TENTH = {"split": [{"version": 1, "weight": 90}, {"version": 2, "weight": 10}]}
HALF = {"split": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50}]}


@pytest.fixture(autouse=True)
def iris(registry: MemoryRegistry, draft: VersionDraft) -> None:
    for version in (1, 2):
        registry.register("iris", draft, "test")
        registry.set_deployed("iris", version, True, "test")
    registry.set_default("iris", 1, "test")


async def _put(api: httpx.AsyncClient, policy: Any, **told: Any) -> httpx.Response:
    return await api.put(URL, json={"policy": policy, **told})


async def test_a_policy_is_set_told_and_taken_away(api: httpx.AsyncClient) -> None:
    before = (await api.get(URL)).json()
    made = (await _put(api, TENTH, reason="try it")).json()
    now = (await api.get(URL)).json()
    gone = (await api.delete(URL, params={"reason": "done", "based_on_revision": 1})).json()

    assert (before["revision"], before["policy"]) == (0, None)
    assert (made["revision"], made["applied"], made["reason"]) == (1, True, "try it")
    assert made["milliseconds"] >= 0
    assert now == {**made, "applied": None, "milliseconds": None}
    assert [run["slots"] for run in now["slots"]] == [9000, 1000]
    assert (gone["revision"], gone["policy"], gone["reason"]) == (2, None, "done")


async def test_engines_are_told_the_policy_and_its_places(
    api: httpx.AsyncClient, services: Services
) -> None:
    await _put(api, HALF)

    (model,) = services.hub.snapshot.models
    assert model.traffic is not None
    assert model.traffic.policy == TrafficPolicy((Variant(1, 50), Variant(2, 50)))
    assert [run.slots for run in model.traffic.slots] == [5000, 5000]
    assert services.hub.snapshot.revision == services.registry.revision()


async def test_the_history_is_newest_first_and_an_earlier_policy_comes_back(
    api: httpx.AsyncClient,
) -> None:
    for policy in (TENTH, HALF):
        await _put(api, policy)
    back = (await api.post(f"{URL}/revert", json={})).json()
    first = (await api.post(f"{URL}/revert", json={"revision": 0, "reason": "stop"})).json()
    found = (await api.get(f"{URL}/history", params={"limit": 3})).json()["revisions"]
    older = (await api.get(f"{URL}/history", params={"before": 2})).json()["revisions"]

    assert (back["revision"], back["based_on"]) == (3, 1)
    assert [one["weight"] for one in back["policy"]["split"]] == [90, 10]
    assert (first["policy"], first["based_on"]) == (None, 0)
    assert [one["revision"] for one in found] == [4, 3, 2]
    assert [one["revision"] for one in older] == [1]


@pytest.mark.parametrize(
    ("policy", "told", "status", "message"),
    [
        ({"split": [{"version": 1, "weight": 90}]}, {}, 400, "add up to 90 %"),
        ({"split": [{"version": 7, "weight": 100}]}, {}, 400, "has no version 7"),
        ({"split": [{"version": 1, "weight": 900}]}, {}, 400, "does not fit"),
        ({"split": [{"version": 1, "weight": 100}], "units": "x"}, {}, 400, "unknown field"),
        ({}, {}, 400, "needs a split or a rule"),
        (TENTH, {"based_on_revision": 0}, 409, "changed meanwhile: revision 1 by local"),
        (TENTH, {"based_on_revision": 5}, 400, "there is no 5"),
        (TENTH, {"because": "x"}, 400, "unknown field"),
        (None, {}, 400, "does not fit"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    api: httpx.AsyncClient, policy: Any, told: dict[str, Any], status: int, message: str
) -> None:
    await _put(api, HALF)

    answer = await _put(api, policy, **told)

    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert (await api.get(URL)).json()["revision"] == 1


@pytest.mark.parametrize("path", ["ghost/traffic", "ghost/traffic/history"])
async def test_the_policy_of_an_unknown_model_is_not_found(
    api: httpx.AsyncClient, path: str
) -> None:
    assert (await api.get(f"/api/v1/models/{path}")).status_code == 404


async def test_a_revision_that_never_was_does_not_come_back(
    api: httpx.AsyncClient, services: Services
) -> None:
    with pytest.raises(Conflict, match="never had a traffic policy"):
        await services.traffic.revert("iris", None, "test")
    with pytest.raises(NotFound, match="no revision 3; the newest is 0"):
        await services.traffic.revert("iris", 3, "test")
    assert (await api.post(f"{URL}/revert", json={"revision": -1})).status_code == 400


async def test_what_the_policy_names_stays_deployed(api: httpx.AsyncClient) -> None:
    await _put(api, TENTH)

    undeployed = await api.delete("/api/v1/models/iris/deployments/2")
    cleared = await api.delete("/api/v1/models/iris/default")

    assert (undeployed.status_code, cleared.status_code) == (409, 409)
    assert "augurium traffic clear iris" in undeployed.json()["error"]


async def test_unloading_the_whole_model_changes_nothing_while_there_is_a_policy(
    api: httpx.AsyncClient, services: Services, registry: MemoryRegistry
) -> None:
    await _put(api, TENTH)

    with pytest.raises(Conflict, match="has a traffic policy"):
        await services.deployments.undeploy_all("iris", "test")

    assert registry.model("iris").deployed_versions == (1, 2)
    assert registry.model("iris").default_version == 1
