from typing import Any

import pytest

from augurium.control.supervision import EngineReading
from augurium.node.engine_gauge import EngineGauge
from augurium.scaling.observation import Observation

STALE_S = 10.0


def reading(slot: str = "engine-0", pid: int = 1, **fields: Any) -> EngineReading:
    given: dict[str, Any] = {
        "ready": True,
        "age_s": 0.0,
        "requests": 0,
        "queued": 0,
        "queue_s": 0.0,
        "cpu_s": 0.0,
        "in_flight": 0,
        **fields,
    }
    return EngineReading(slot=slot, pid=pid, **given)


def observe(gauge: EngineGauge, at: float, *readings: EngineReading) -> Observation | None:
    processes = {"engine-0": 1, "engine-1": 2}
    return gauge.observe(readings, processes, at, STALE_S)


def test_what_engines_do_is_the_difference_of_two_reports() -> None:
    gauge = EngineGauge()

    first = observe(gauge, 10.0, reading(requests=1000, cpu_s=5.0), reading("engine-1", 2))
    second = observe(
        gauge,
        12.0,
        reading(requests=1200, cpu_s=6.0, queued=100, queue_s=1.0, in_flight=3),
        reading("engine-1", 2, requests=100, cpu_s=0.4, queued=100, queue_s=0.0, in_flight=1),
    )

    assert first is None
    assert second is not None
    assert (second.measured, second.request_rate, second.in_flight) == (2, 150.0, 4.0)
    assert second.cpu_utilization == pytest.approx(0.35)
    assert second.queue_delay_s == pytest.approx(0.005)


def test_a_process_that_is_new_begins_anew() -> None:
    gauge = EngineGauge()
    observe(gauge, 0.0, reading(requests=5000, cpu_s=50.0))
    observe(gauge, 1.0, reading(requests=5100, cpu_s=50.5))

    assert gauge.observe([reading(pid=9)], {"engine-0": 9}, 2.0, STALE_S) is None
    found = gauge.observe([reading(pid=9, requests=10)], {"engine-0": 9}, 3.0, STALE_S)
    assert found is not None
    assert found.request_rate == 10.0


def test_engines_that_fell_silent_or_are_not_ours_do_not_count() -> None:
    gauge = EngineGauge()
    for at in (0.0, 1.0):
        observe(gauge, at, reading(requests=int(at)), reading("engine-1", 2), reading("other", 7))

    found = observe(gauge, 2.0, reading(requests=5), reading("engine-1", 2, age_s=11.0))

    assert found is not None
    assert found.measured == 1
    assert observe(gauge, 3.0) is None


def test_the_same_report_again_tells_nothing_new_and_grows_old() -> None:
    gauge = EngineGauge()
    observe(gauge, 0.0, reading())
    before = observe(gauge, 2.0, reading(requests=20))

    after = observe(gauge, 5.0, reading(requests=20, age_s=3.0))

    assert before is not None
    assert after is not None
    assert (after.at, after.request_rate) == (before.at, before.request_rate) == (2.0, 10.0)


def test_without_requests_nobody_waits() -> None:
    gauge = EngineGauge()
    observe(gauge, 0.0, reading())

    found = observe(gauge, 1.0, reading())

    assert found is not None
    assert (found.queue_delay_s, found.request_rate) == (0.0, 0.0)
