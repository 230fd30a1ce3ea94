from datetime import UTC, datetime, timedelta

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.serving_policy import ReplicasPolicy
from augurium.scaling.decision import Decision, Memory, Moment, decide
from augurium.scaling.load import LoadPoint
from augurium.scaling.model_policy import model_policy
from augurium.scaling.observation import Observation
from augurium.scaling.policy import Pace, Targets
from augurium.scaling.simulation import ReplicaModel, simulate

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


class Model:
    """A model's replicas and what is decided about them, a second apart."""

    def __init__(self, replicas: ReplicasPolicy, number: int = 1) -> None:
        self.number = number
        self._policy = model_policy(replicas)
        self._memory = Memory()
        self._at = 0.0

    def see(self, seconds: float = 1.0, **seen: float) -> Decision:
        for _ in range(round(seconds)):
            self._at += 1.0
            moment = Moment(self._at, MONDAY + timedelta(seconds=self._at))
            measured: dict[str, float] = {"request_rate": 0.0, "in_flight": 0.0, **seen}
            observed = Observation(at=self._at, measured=self.number, **measured)
            decision, self._memory = decide(
                self._policy, self._memory, self.number, observed, moment
            )
            self.number = decision.wanted
        return decision


def test_what_an_owner_decides_is_a_policy_in_the_units_of_scaling() -> None:
    policy = model_policy(
        ReplicasPolicy(
            least=0,
            most=4,
            target_queue_delay_ms=50.0,
            target_gpu_utilization=0.8,
            up_window_s=1.0,
            down_replicas=2,
            idle_s=60.0,
            schedules=("daily 08:00-18:00 min 2",),
        )
    )

    assert (policy.smallest, policy.largest, policy.idle_s) == (0, 4, 60.0)
    assert policy.targets == Targets(cpu_utilization=0.7, queue_delay_s=0.05, gpu_utilization=0.8)
    assert policy.up == Pace(window_s=1.0, count=4, period_s=15.0)
    assert policy.down == Pace(window_s=300.0, count=2, period_s=60.0)
    assert policy.bounds(MONDAY.replace(hour=9)).low == 2


def test_what_may_not_sleep_keeps_one() -> None:
    assert model_policy(ReplicasPolicy(least=0, most=4), may_sleep=False).smallest == 1


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        (ReplicasPolicy(least=3, most=2), "expected 0 <= least <= most"),
        (ReplicasPolicy(most=4, time_zone="Mars/North"), "no time zone"),
        (ReplicasPolicy(most=4, schedules=("weekdays 8-18 min 2",)), "expected DAYS HH:MM"),
        (ReplicasPolicy(most=4, schedules=("daily 08:00-18:00 min 9",)), "raise that"),
    ],
    ids=["bounds", "zone", "schedule", "minimum"],
)
def test_what_cannot_be_meant_is_refused(replicas: ReplicasPolicy, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        model_policy(replicas)


def test_busy_runners_become_more_and_idle_ones_fewer_after_their_windows() -> None:
    model = Model(ReplicasPolicy(most=3, up_window_s=3.0, down_window_s=10.0, down_period_s=1.0))

    assert model.see(cpu_utilization=0.99, request_rate=5.0).cause == "window"
    grown = model.see(3.0, cpu_utilization=0.99, request_rate=5.0)
    assert grown.wanted == 2
    assert "cpu utilization" in grown.reason

    assert model.see(8.0, cpu_utilization=0.1, request_rate=1.0).wanted == 2
    assert model.see(4.0, cpu_utilization=0.1, request_rate=1.0).wanted == 1


def test_a_device_that_is_busy_asks_for_more_where_it_can_be_measured() -> None:
    model = Model(ReplicasPolicy(most=4, target_gpu_utilization=0.5, up_window_s=0.0))

    decision = model.see(cpu_utilization=0.05, gpu_utilization=0.95, request_rate=9.0)

    assert decision.wanted == 2
    assert "gpu utilization 0.95 against 0.5" in decision.reason


def test_nobody_asking_ends_the_last_one_and_a_request_wakes_it() -> None:
    model = Model(ReplicasPolicy(least=0, most=2, idle_s=30.0))

    assert model.see(25.0, cpu_utilization=0.0).wanted == 1
    slept = model.see(10.0, cpu_utilization=0.0)
    assert (slept.wanted, slept.cause) == (0, "idle")
    assert model.see(100.0, cpu_utilization=0.0).wanted == 0
    woken = model.see(cpu_utilization=0.0, request_rate=0.5)
    assert (woken.wanted, woken.reason) == (1, "requests arrived: it wakes")


def test_a_fixed_number_holds_whatever_is_measured() -> None:
    model = Model(ReplicasPolicy(least=2, most=2))

    assert model.see(cpu_utilization=0.0).wanted == 2
    assert model.see(400.0, cpu_utilization=5.0, request_rate=1e6).wanted == 2


def test_a_simulated_load_is_served_by_as_many_as_it_needs() -> None:
    policy = model_policy(
        ReplicasPolicy(most=4, up_window_s=2.0, down_window_s=30.0, down_period_s=5.0)
    )
    load = [LoadPoint(0.0, 5.0), LoadPoint(120.0, 50.0), LoadPoint(400.0, 5.0), LoadPoint(800.0, 5)]

    found = simulate(policy, load, ReplicaModel(capacity=20.0, start_s=3.0))

    assert (found.summary.fewest, found.summary.most) == (1, 4)
    assert found.ticks[-1].wanted == 1
    # a backlog grows until they are there, and is gone again
    assert found.ticks[350].delay_s < 0.1
    assert found.summary.refused_share == 0.0
