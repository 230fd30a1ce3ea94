"""The policy function on a clock that moves only when told to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.scaling.decision import Decision, Memory, Moment, decide
from augurium.scaling.observation import Observation
from augurium.scaling.policy import Pace, ScalingPolicy, Targets
from augurium.scaling.schedule import read_schedule

CALM = Pace(window_s=0.0, count=100, period_s=1.0)


def policy_of(**fields: Any) -> ScalingPolicy:
    targets = fields.pop("targets", Targets(cpu_utilization=0.5))
    given: dict[str, Any] = {"smallest": 1, "largest": 10, "up": CALM, "down": CALM} | fields
    return ScalingPolicy(targets=targets, **given)


class Group:
    """A group whose number follows what is decided."""

    def __init__(self, policy: ScalingPolicy, number: int = 1) -> None:
        self.policy = policy
        self.number = number
        self.clock = ManualClock()
        self._memory = Memory()

    def see(self, after_s: float = 1.0, age_s: float = 0.0, **measured: Any) -> Decision:
        self.clock.advance(after_s)
        at = self.clock.monotonic()
        measured = {"measured": self.number} | measured
        return self._decide(Observation(at=at - age_s, **measured))

    def see_nothing(self, after_s: float = 1.0) -> Decision:
        self.clock.advance(after_s)
        return self._decide(None)

    def _decide(self, seen: Observation | None) -> Decision:
        moment = Moment(self.clock.monotonic(), self.clock.now())
        decision, self._memory = decide(self.policy, self._memory, self.number, seen, moment)
        self.number = decision.wanted
        return decision


def test_the_number_is_the_one_that_has_its_target() -> None:
    decision = Group(policy_of(), 2).see(cpu_utilization=0.9)

    assert (decision.current, decision.wanted, decision.cause) == (2, 4, "target")
    assert decision.reason == "cpu utilization 0.9 against 0.5 asks for 4"
    assert decision.numbers["cpu_utilization"] == 0.9
    assert decision.numbers["cpu_utilization_needs"] == 4


@pytest.mark.parametrize("utilization", [0.45, 0.5, 0.55])
def test_a_ratio_within_the_tolerance_changes_nothing(utilization: float) -> None:
    decision = Group(policy_of(), 4).see(cpu_utilization=utilization)

    assert (decision.wanted, decision.cause) == (4, "steady")


def test_totals_are_divided_among_replicas() -> None:
    group = Group(policy_of(targets=Targets(request_rate=100.0, in_flight=8.0)), 2)

    assert group.see(request_rate=730.0, in_flight=4.0).wanted == 8
    assert group.see(request_rate=730.0, in_flight=80.0).wanted == 10
    assert group.see(request_rate=90.0, in_flight=1.0).wanted == 1


def test_the_largest_wish_wins() -> None:
    targets = Targets(cpu_utilization=0.5, gpu_utilization=0.8)

    decision = Group(policy_of(targets=targets), 2).see(cpu_utilization=0.1, gpu_utilization=1.0)

    assert decision.wanted == 3
    assert "gpu utilization" in decision.reason


def test_a_delay_at_most_doubles_and_takes_one_away_at_a_time() -> None:
    group = Group(policy_of(targets=Targets(queue_delay_s=0.01)), 2)

    assert group.see(queue_delay_s=1.0).wanted == 4
    assert group.see(queue_delay_s=0.008).wanted == 4
    assert group.see(queue_delay_s=0.0).wanted == 3


def test_a_delay_does_not_count_those_that_start_twice() -> None:
    group = Group(policy_of(targets=Targets(queue_delay_s=0.01)), 4)

    assert group.see(measured=2, queue_delay_s=1.0).wanted == 4


def test_bounds_are_kept_and_named() -> None:
    group = Group(policy_of(largest=3), 1)

    decision = group.see(cpu_utilization=5.0)

    assert decision.wanted == 3
    assert decision.high == 3
    assert "asks for 10" in decision.reason


def test_replicas_that_start_count_as_idle_for_more_and_as_busy_for_less() -> None:
    group = Group(policy_of(), 4)

    # two replicas do what three would do at their target: four are enough
    assert group.see(measured=2, cpu_utilization=0.75).wanted == 4
    # two are silent: they may be as busy as they should be
    assert group.see(measured=2, cpu_utilization=0.25).wanted == 3
    assert group.see(measured=3, cpu_utilization=0.25).wanted == 2


def test_what_is_not_measured_never_shrinks() -> None:
    group = Group(policy_of(), 5)

    assert group.see_nothing().cause == "missing"
    stale = group.see(age_s=60.0, cpu_utilization=0.0)
    unknown = group.see(cpu_utilization=None, request_rate=0.0)
    broken = group.see(cpu_utilization=float("nan"))

    assert group.number == 5
    assert {stale.cause, unknown.cause, broken.cause} == {"missing"}
    assert "nothing was measured in the last 10 s" in stale.reason


def test_with_one_measure_missing_the_others_may_add_and_not_take_away() -> None:
    targets = Targets(cpu_utilization=0.5, request_rate=100.0)
    group = Group(policy_of(targets=targets), 4)

    assert group.see(request_rate=10.0).wanted == 4
    assert group.see(request_rate=900.0).wanted == 9


def test_it_grows_when_every_wish_of_the_up_window_asked_for_it() -> None:
    group = Group(policy_of(up=Pace(window_s=3.0, count=100, period_s=1.0)), 2)
    group.see(cpu_utilization=0.5)

    first = group.see(cpu_utilization=2.0)
    numbers = [group.see(cpu_utilization=2.0).wanted for _ in range(3)]

    assert (first.wanted, first.cause) == (2, "window")
    assert numbers == [2, 8, 8]


def test_it_shrinks_to_the_largest_wish_of_the_down_window() -> None:
    group = Group(policy_of(down=Pace(window_s=60.0, count=100, period_s=1.0)), 8)
    group.see(cpu_utilization=0.5)
    numbers = [group.see(10.0, cpu_utilization=0.2).wanted for _ in range(3)]
    group.see(10.0, cpu_utilization=0.4)
    later = [group.see(10.0, cpu_utilization=0.1).wanted for _ in range(6)]

    assert numbers == [8, 8, 8]
    # when the first observation is a minute old, what 0.4 of eight needed counts
    assert 7 in later
    assert later == sorted(later, reverse=True)


def test_a_start_shrinks_nothing_before_the_window_has_passed() -> None:
    group = Group(policy_of(down=Pace(window_s=60.0, count=100, period_s=1.0)), 8)

    assert group.see(cpu_utilization=0.0).wanted == 8
    assert group.see(59.0, cpu_utilization=0.0).wanted == 8
    assert group.see(2.0, cpu_utilization=0.0).wanted == 1


def test_the_pace_bounds_what_changes_in_a_period() -> None:
    pace = Pace(window_s=0.0, count=2, period_s=10.0)
    group = Group(policy_of(up=pace, down=pace), 1)

    grown = [group.see(2.0, cpu_utilization=5.0) for _ in range(6)]
    group.clock.advance(60)
    shrunk = [group.see(2.0, cpu_utilization=0.0).wanted for _ in range(3)]

    assert [decision.wanted for decision in grown] == [3, 3, 3, 3, 3, 5]
    assert grown[0].cause == "pace"
    assert "at most 2 may change in 10 s" in grown[0].reason
    assert shrunk == [3, 3, 3]


def test_a_share_of_many_may_change_at_once() -> None:
    pace = Pace(window_s=0.0, count=1, share=1.0, period_s=10.0)
    group = Group(policy_of(up=pace), 4)

    assert group.see(cpu_utilization=5.0).wanted == 8
    assert group.see(cpu_utilization=5.0).wanted == 8


def test_a_schedule_holds_at_once_and_without_observations() -> None:
    # the clock begins on a Thursday at midnight
    schedule = read_schedule("thu 08:00-18:00 min 4 max 6")
    slow = Pace(window_s=300.0, count=1, period_s=60.0)
    group = Group(policy_of(schedules=(schedule,), up=slow, down=slow), 1)

    before = group.see_nothing(8 * 3600 - 1)
    begun = group.see_nothing(1.0)

    assert (before.wanted, begun.wanted, begun.cause) == (1, 4, "bounds")
    assert "at least 4 shall be there by schedule 'thu 08:00-18:00 min 4 max 6'" in begun.reason
    assert (begun.low, begun.high) == (4, 6)


def test_a_lower_maximum_waits_for_an_observation() -> None:
    schedule = read_schedule("daily 00:00-24:00 max 2")
    group = Group(policy_of(schedules=(schedule,)), 5)

    assert group.see_nothing().wanted == 5
    assert group.see(cpu_utilization=0.5).wanted == 2


def test_where_schedules_meet_the_larger_minimum_wins() -> None:
    texts = ("daily 00:00-24:00 min 3 max 8", "daily 00:00-24:00 min 2", "daily 00:00-12:00 max 2")
    policy = policy_of(schedules=tuple(map(read_schedule, texts)))

    assert policy.bounds(ManualClock().now())[:2] == (3, 3)


def test_it_sleeps_after_its_idle_time_and_wakes_with_a_request() -> None:
    policy = policy_of(smallest=0, idle_s=30.0, targets=Targets(request_rate=10.0))
    group = Group(policy, 2)

    assert group.see(request_rate=0.0, in_flight=0.0).wanted == 1
    assert group.see(20.0, request_rate=0.0, in_flight=0.0).wanted == 1
    asleep = group.see(11.0, request_rate=0.0, in_flight=0.0)
    assert (asleep.wanted, asleep.cause) == (0, "idle")
    assert group.see(measured=0, request_rate=0.0, in_flight=0.0).wanted == 0
    awake = group.see(measured=0, request_rate=0.0, in_flight=1.0)
    assert (awake.wanted, awake.reason) == (1, "requests arrived: it wakes")


def test_a_request_in_between_begins_the_idle_time_anew() -> None:
    policy = policy_of(smallest=0, idle_s=30.0, targets=Targets(request_rate=10.0))
    group = Group(policy, 1)

    for _ in range(5):
        group.see(20.0, request_rate=0.0, in_flight=0.0)
        assert group.see(1.0, request_rate=1.0, in_flight=0.0).wanted == 1


def test_it_never_sleeps_while_nobody_knows_whether_requests_come() -> None:
    policy = policy_of(smallest=0, idle_s=30.0)
    group = Group(policy, 1)

    for _ in range(5):
        assert group.see(60.0, cpu_utilization=0.0).wanted == 1
        assert group.see_nothing(60.0).wanted == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"smallest": 5, "largest": 4}, "the smallest number is 5 and the largest 4"),
        ({"largest": 1_000_000}, "largest 1000000"),
        ({"smallest": -1}, "the smallest number is -1"),
        ({"targets": Targets(cpu_utilization=-0.5)}, "target cpu_utilization is -0.5"),
        ({"targets": Targets(request_rate=float("nan"))}, "target request_rate is nan"),
        ({"targets": Targets(gpu_utilization=80.0)}, "a share, at most 1"),
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"up": Pace(count=0)}, "a pace of no replicas"),
        ({"down": Pace(window_s=-1.0)}, "not negative"),
        ({"schedules": (read_schedule("daily 00:00-24:00 min 11"),)}, "asks for at least 11"),
        ({"smallest": 3, "schedules": (read_schedule("daily 00:00-24:00 max 2"),)}, "at most 2"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        policy_of(**fields).check()


measures = st.floats(0, 1e6, allow_nan=False)


@given(
    current=st.integers(1, 20),
    measured=st.integers(0, 20),
    low=measures,
    more=measures,
    rate=measures,
)
def test_more_load_never_asks_for_fewer(
    current: int, measured: int, low: float, more: float, rate: float
) -> None:
    targets = Targets(cpu_utilization=0.7, request_rate=50.0, queue_delay_s=0.01)
    policy = policy_of(targets=targets, largest=30)

    def wanted(load: float) -> int:
        seen = Observation(
            at=0.0,
            measured=min(measured, current),
            cpu_utilization=load / 1e5,
            request_rate=rate + load,
            queue_delay_s=load / 1e6,
        )
        moment = Moment(0.0, ManualClock().now())
        return decide(policy, Memory(), current, seen, moment)[0].wanted

    assert wanted(low) <= wanted(low + more)


@given(
    smallest=st.integers(0, 5),
    extra=st.integers(0, 10),
    loads=st.lists(st.none() | st.tuples(measures, st.floats(0, 30)), max_size=40),
)
def test_the_number_is_always_within_its_bounds(
    smallest: int, extra: int, loads: list[tuple[float, float] | None]
) -> None:
    policy = policy_of(
        smallest=smallest,
        largest=smallest + extra,
        targets=Targets(request_rate=100.0, cpu_utilization=0.5),
        down=Pace(window_s=20.0, count=2, period_s=5.0),
        idle_s=10.0,
    )
    group = Group(policy, smallest)
    for load in loads:
        if load is None:
            before = group.number
            assert group.see_nothing().wanted == before
        else:
            group.see(load[1], request_rate=load[0], in_flight=load[0], cpu_utilization=load[0])
        assert smallest <= group.number <= smallest + extra
