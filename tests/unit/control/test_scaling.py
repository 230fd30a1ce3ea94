from datetime import UTC, datetime

import httpx

from augurium.control.services import Services
from augurium.control.supervision import Report, Scaling
from augurium.scaling.decision import Decision
from augurium.scaling.scaler import LoggedDecision

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def logged(number: int) -> LoggedDecision:
    decision = Decision(at=NOW, current=1, wanted=2, cause="target", reason="busy", low=1, high=4)
    return LoggedDecision(number=number, decision=decision, done="engine-1 starts")


async def test_a_node_that_is_not_scaled_says_so(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/v1/scaling")).json()

    assert not found["enabled"]
    assert (found["min_engines"], found["max_engines"]) == (2, 2)
    assert found["engines"] == {"engine-0": "serving", "engine-1": "serving"}
    assert found["latest"] is None
    assert found["decisions"] == []


async def test_what_the_supervisor_reports_is_told(
    api: httpx.AsyncClient, services: Services
) -> None:
    first = Scaling(latest=logged(1).decision, counts={"up": 1}, log=(logged(1),))
    services.engines.take(Report({"engine-0": "serving", "engine-1": "starting"}, first))
    again = Scaling(latest=logged(2).decision, counts={"up": 2}, log=(logged(1), logged(2)))
    services.engines.take(Report({"engine-0": "serving", "engine-1": "draining"}, again))

    found = (await api.get("/api/v1/scaling")).json()
    metrics = (await api.get("/metrics")).text

    assert found["engines"] == {"engine-0": "serving", "engine-1": "draining"}
    assert [entry["number"] for entry in found["decisions"]] == [2, 1]
    assert found["decisions"][0]["done"] == "engine-1 starts"
    assert found["latest"]["reason"] == "busy"
    assert services.engines.decisions_known == 2
    assert 'augurium_engines{state="serving"} 1' in metrics
    assert 'augurium_engines{state="draining"} 1' in metrics
    assert 'augurium_engines{state="starting"} 0' in metrics
    assert 'augurium_scaling_decisions_total{direction="up"} 2' in metrics


async def test_the_node_waits_neither_for_who_starts_nor_for_who_leaves(
    api: httpx.AsyncClient, services: Services
) -> None:
    services.engines.take(Report({"engine-0": "draining", "engine-1": "starting"}))

    assert (await api.get("/api/v1/ready")).json() == {"ready": True, "waiting_for": []}
    assert (await api.get("/api/v1/server")).json()["expected_engines"] == []
