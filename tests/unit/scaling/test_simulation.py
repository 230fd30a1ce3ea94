"""What the policy does to loads, in a simulator whose time is free."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.scaling.chart import svg_chart, text_chart
from augurium.scaling.load import SHAPES, LoadPoint, Shape, generate, read_trace
from augurium.scaling.policy import Pace, ScalingPolicy, Targets
from augurium.scaling.schedule import read_schedule
from augurium.scaling.simulation import ReplicaModel, Simulation, simulate

MODEL = ReplicaModel(capacity=100.0, start_s=2.0)
POLICY = ScalingPolicy(
    smallest=1,
    largest=10,
    targets=Targets(cpu_utilization=0.7),
    up=Pace(window_s=3.0, count=4, period_s=15.0),
    down=Pace(window_s=120.0, count=1, period_s=30.0),
)


def run(shape: Shape, policy: ScalingPolicy = POLICY) -> Simulation:
    return simulate(policy, generate(shape), MODEL)


def test_a_constant_load_settles_on_the_number_that_has_its_target() -> None:
    found = run(Shape("constant", 0.0, 350.0, 600.0))

    assert found.ticks[-1].wanted == 5
    assert found.ticks[-1].utilization == pytest.approx(0.7)
    # more were needed for a while, for what had to wait at first
    assert found.summary.turns <= 1


def test_a_step_is_answered_within_window_interval_and_start() -> None:
    found = run(Shape("step", 50.0, 340.0, 400.0))

    # up window 3 s, one interval of 2 s to see it and one to decide, 2 s to start: then it grows
    # from what one replica is seen to do; a second round follows
    settled = [tick.t for tick in found.ticks if tick.ready >= 4]
    assert settled[0] - 100.0 <= 25.0
    assert found.ticks[-1].delay_s < MODEL.patience_s
    assert found.summary.turns <= 1


def test_a_request_rate_that_is_known_jumps_in_one_round() -> None:
    policy = ScalingPolicy(
        smallest=1,
        largest=10,
        targets=Targets(request_rate=70.0),
        up=Pace(window_s=0.0, count=8, period_s=15.0),
    )

    found = run(Shape("step", 50.0, 340.0, 400.0), policy)

    ready = next(tick.t for tick in found.ticks if tick.ready == 5)
    assert ready - 100.0 <= 2 * MODEL.interval_s + MODEL.start_s


def test_a_day_costs_less_than_its_peak_and_is_not_overloaded() -> None:
    found = run(Shape("diurnal", 20.0, 600.0, 86_400.0, noise=0.05))

    assert found.summary.overloaded_share < 0.01
    assert found.summary.queue_delay_p99_s < MODEL.patience_s
    assert found.summary.most == 9
    assert found.summary.replica_hours < 0.7 * 9 * 24
    # once up and once down
    assert found.summary.turns == 1


def test_a_spike_leaves_no_flapping_behind() -> None:
    found = run(Shape("spike", 60.0, 500.0, 2_000.0, noise=0.05))

    assert found.summary.turns == 1
    assert found.ticks[-1].wanted == 1


def test_a_schedule_is_there_before_its_load() -> None:
    schedule = read_schedule("weekdays 08:00-18:00 min 6")
    policy = ScalingPolicy(
        smallest=1, largest=10, schedules=(schedule,), up=POLICY.up, down=POLICY.down
    )

    found = run(Shape("constant", 0.0, 20.0, 86_400.0, step_s=60.0), policy)

    by_hour = {int(tick.t // 3600): tick.wanted for tick in found.ticks}
    assert (by_hour[7], by_hour[8], by_hour[17], by_hour[23]) == (1, 6, 6, 1)


def test_scale_to_zero_costs_the_first_request_its_start() -> None:
    policy = ScalingPolicy(
        smallest=0, largest=4, targets=Targets(request_rate=70.0), idle_s=60.0, up=POLICY.up
    )
    load = [LoadPoint(0.0, 10.0), LoadPoint(100.0, 0.0), LoadPoint(600.0, 10.0)]

    found = simulate(policy, [*load, LoadPoint(700.0, 10.0)], MODEL)

    asleep = [tick.t for tick in found.ticks if tick.wanted == 0 and tick.t > 50]
    assert 160.0 <= asleep[0] <= 170.0
    assert asleep[-1] <= 602.0
    assert found.ticks[-1].ready == 1
    assert found.summary.refused_share == 0.0


@settings(max_examples=40)
@given(
    rate=st.floats(1, 900),
    noise=st.floats(0, 0.1),
    seed=st.integers(0, 1000),
    share=st.sampled_from(["cpu_utilization", "request_rate"]),
)
def test_a_noisy_constant_load_does_not_flap(
    rate: float, noise: float, seed: int, share: str
) -> None:
    target = 0.7 if share == "cpu_utilization" else 70.0
    policy = ScalingPolicy(
        smallest=1,
        largest=20,
        targets=Targets(**{share: target}),
        up=POLICY.up,
        down=POLICY.down,
    )

    found = run(Shape("constant", 0.0, rate, 3_600.0, noise, seed), policy)

    # the rate is seen over two seconds, so a tenth of noise may pass the tolerance now and then:
    # it grows once at most, for what is needed at the worst moment of a window stays
    late = [decision for decision in found.decisions if decision.at.minute >= 10]
    assert len(late) <= 2
    assert found.summary.overloaded_share < 0.02


@settings(max_examples=40)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    low=st.floats(0, 500),
    more=st.floats(0, 500),
    smallest=st.integers(1, 4),
    extra=st.integers(0, 8),
)
def test_it_stays_in_its_bounds_and_more_load_costs_no_fewer_replicas(
    shape: str, low: float, more: float, smallest: int, extra: int
) -> None:
    policy = ScalingPolicy(
        smallest=smallest, largest=smallest + extra, up=POLICY.up, down=POLICY.down
    )

    one = run(Shape(shape, 0.0, low, 900.0), policy)
    other = run(Shape(shape, 0.0, low + more, 900.0), policy)

    for found in (one, other):
        assert smallest <= found.summary.fewest <= found.summary.most <= smallest + extra
    assert one.summary.most <= other.summary.most


def test_the_same_seed_is_the_same_load() -> None:
    shape = Shape("diurnal", 0.0, 100.0, 100.0, noise=0.1, seed=7)

    assert generate(shape) == generate(shape)


def test_a_trace_is_replayed_as_it_was_written() -> None:
    points = read_trace(["t,requests_per_s", "0,10", "60,300", "120,10"])

    found = simulate(POLICY, points, MODEL)

    assert [tick.rate for tick in found.ticks[::60]] == [10.0, 300.0, 10.0]
    assert found.summary.duration_s == 180.0
    assert found.summary.requests == pytest.approx(60 * 320)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "has 0 points"),
        (["t,r", "0,1"], "has 1 points"),
        (["0,1", "1,x"], "line 2: expected SECONDS"),
        (["0,1", "1"], "line 2: expected SECONDS"),
        (["0,1", "1,nan"], "line 2: expected SECONDS"),
        (["0,1", "0,2"], "line 2: rates are not negative and seconds grow"),
        (["0,1", "1,-2"], "line 2: rates"),
    ],
    ids=str,
)
def test_a_trace_that_cannot_be_meant_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read_trace(lines)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (Shape("square", 0, 1, 10), "'square' is no shape"),
        (Shape("step", 5, 1, 10), "base 5, peak 1"),
        (Shape("step", 0, 1, 0), "0 s"),
        (Shape("step", 0, 1, 1e9), "1e"),
    ],
    ids=["name", "base", "none", "long"],
)
def test_a_shape_that_cannot_be_meant_is_refused(shape: Shape, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        generate(shape)


def test_a_model_of_replicas_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="capacity"):
        simulate(POLICY, [LoadPoint(0, 1), LoadPoint(1, 1)], ReplicaModel(capacity=0.0))


def test_pictures_hold_every_measure() -> None:
    ticks = run(Shape("step", 10.0, 300.0, 300.0)).ticks

    text, svg = text_chart(ticks), svg_chart(ticks)

    assert len(text.splitlines()) == 4
    assert all(name in text and name in svg for name in ("replicas", "queue delay, ms"))
    assert ElementTree.fromstring(svg).tag.endswith("svg")
