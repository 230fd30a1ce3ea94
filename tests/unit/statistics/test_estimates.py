"""Estimates of experiments: differences and lifts, ratios, CUPED, buckets and quantiles."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.cuped import cuped
from augurium.statistics.estimates import (
    Effect,
    difference,
    mean,
    moments_of_sums,
    proportion,
    ratio,
    relative_lift,
)
from augurium.statistics.joint_moments import JointMoments, joint_moments
from augurium.statistics.quantiles import LogBins, quantile
from augurium.statistics.unit_buckets import UnitBuckets, unit_bucket, unit_buckets

# of gbstats, tests/frequentist/test_tests.py
CONTROL = mean(moments_of_sums(3407, 1396.87, 52377.9767))
TREATMENT = mean(moments_of_sums(3461, 2422.7, 134698.29))
PRE_A, POST_A = np.arange(1.0, 7.0), np.array([2.0, 3.0, 5.0, 4.0, 6.0, 7.0])
PRE_B, POST_B = np.arange(2.0, 8.0), np.array([4.0, 4.0, 6.0, 7.0, 8.0, 9.0])
NUMBERS = st.floats(-1e3, 1e3)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12)


@pytest.mark.parametrize(
    ("effect", "value", "interval", "p_value"),
    [
        (difference(CONTROL, TREATMENT), 0.29, (0.04538, 0.53462), 0.02016),
        (relative_lift(CONTROL, TREATMENT), 0.70732, (-0.03526, 1.44989), 0.06191),
    ],
    ids=["absolute", "relative"],
)
def test_difference_and_lift_are_those_of_growthbook(
    effect: Effect, value: float, interval: tuple[float, float], p_value: float
) -> None:
    assert effect.value == pytest.approx(value, abs=5e-6)
    assert effect.interval() == pytest.approx(interval, abs=5e-6)
    assert effect.p_value == pytest.approx(p_value, abs=5e-6)


def test_the_lift_is_relative_to_the_size_of_a_negative_baseline() -> None:
    control, treatment = (msgspec.structs.replace(CONTROL, value=value) for value in (-2.0, -1.0))

    assert relative_lift(control, treatment).value == pytest.approx(0.5)


def test_a_lift_over_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="difference instead"):
        relative_lift(proportion(0, 100), proportion(3, 100))


def test_a_proportion_has_the_variance_of_a_coin() -> None:
    found = proportion(30, 100)

    assert (found.value, found.variance) == pytest.approx((0.3, 0.0021))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (3, 2), (-1, 5)])
def test_proportions_of_too_few_units_or_impossible_counts_are_refused(
    successes: int, n: int
) -> None:
    with pytest.raises(InvalidArgument):
        proportion(successes, n)


def test_variants_that_do_not_vary_are_no_evidence() -> None:
    effect = difference(proportion(0, 50), proportion(0, 50))

    assert (effect.z, effect.p_value, effect.interval()) == (0.0, 1.0, (0.0, 0.0))


def test_a_repeated_interval_is_wider_the_higher_the_bound_of_the_look() -> None:
    effect = difference(CONTROL, TREATMENT)

    assert effect.within(5.8153)[0] < 0 < effect.within(2.0562)[0]


@given(PAIRS, PAIRS, PAIRS)
def test_joint_moments_of_parts_are_those_of_the_whole(
    first: list[tuple[float, float]],
    second: list[tuple[float, float]],
    third: list[tuple[float, float]],
) -> None:
    def moments(pairs: list[tuple[float, float]]) -> JointMoments:
        table = np.array(pairs).reshape(-1, 2)
        return joint_moments(table[:, 0], table[:, 1])

    merged = moments(first).merged(moments(second).merged(moments(third)))

    whole = moments([*first, *second, *third])
    assert msgspec.structs.astuple(merged) == pytest.approx(
        msgspec.structs.astuple(whole), abs=1e-6, rel=1e-9
    )


def test_a_ratio_has_the_standard_error_that_simulation_gives() -> None:
    rng = np.random.default_rng(2)
    units, runs = 300, 3000
    requests = rng.poisson(3, (runs, units)) + 1.0
    clicks = rng.binomial(requests.astype(int), rng.beta(2, 8, (runs, units)))
    simulated = (clicks.sum(axis=1) / requests.sum(axis=1)).std()

    found = [ratio(joint_moments(requests[run], clicks[run])).variance for run in range(200)]

    assert math.sqrt(np.mean(found)) == pytest.approx(simulated, rel=0.05)


def test_a_ratio_over_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="denominator"):
        ratio(joint_moments(np.zeros(3), np.ones(3)))


def test_cuped_adjusts_as_calculated_by_hand() -> None:
    arms = [joint_moments(PRE_A, POST_A), joint_moments(PRE_B, POST_B)]

    found = cuped(arms)

    raw, adjusted = difference(mean(arms[0].y), mean(arms[1].y)), difference(*found.estimates)
    assert found.theta == pytest.approx(1.0142857, abs=1e-7)
    assert (raw.value, raw.se) == pytest.approx((1.8333333, 1.1377365), abs=1e-7)
    assert (adjusted.value, adjusted.se) == pytest.approx((0.8190476, 0.3069305), abs=1e-7)


def test_cuped_leaves_one_minus_the_squared_correlation() -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(size=50_000)
    arms = [
        joint_moments(half, half * 0.8 + rng.normal(size=25_000) * 0.6)
        for half in np.split(before, 2)
    ]

    assert cuped(arms).variance_ratio == pytest.approx(1 - 0.8**2, abs=0.01)


def test_cuped_without_a_difference_before_changes_nothing() -> None:
    arms = [joint_moments(np.ones(6), POST_A), joint_moments(np.ones(6), POST_B)]

    found = cuped(arms)

    assert found.estimates == (mean(arms[0].y), mean(arms[1].y))
    assert (found.theta, found.variance_ratio) == (0.0, 1.0)


def requests_of_units(rng: np.random.Generator, units: int = 2000) -> tuple[Array, Array, Array]:
    """Buckets, outcomes and number of requests that resemble each other within a unit."""
    requests = rng.poisson(10, units) + 1
    outcomes = rng.binomial(requests, rng.beta(1, 4, units)).astype(np.float64)
    return rng.integers(0, 200, units), outcomes, requests.astype(np.float64)


def test_buckets_keep_alpha_where_requests_of_a_unit_resemble_each_other() -> None:
    rng = np.random.default_rng(4)
    bucketed, naive, runs = 0, 0, 400
    for _ in range(runs):
        arms = [requests_of_units(rng) for _ in range(2)]
        estimates = [unit_buckets(*arm, count=200).estimate() for arm in arms]
        plain = [proportion(arm[1].sum(), int(arm[2].sum())) for arm in arms]
        bucketed += difference(*estimates).p_value < 0.05
        naive += difference(*plain).p_value < 0.05

    assert bucketed / runs < 0.09
    assert naive / runs > 0.2


def test_buckets_of_parts_are_those_of_the_whole() -> None:
    buckets, values, weights = requests_of_units(np.random.default_rng(5), 400)
    parts = [
        unit_buckets(buckets[part], values[part], weights[part], 200)
        for part in np.split(np.arange(400), 4)
    ]

    merged = parts[0].merged(parts[1]).merged(parts[2].merged(parts[3]))

    assert merged == unit_buckets(buckets, values, weights, 200)


def test_buckets_of_nothing_merge_with_others() -> None:
    nothing = unit_buckets(np.zeros(0, np.int64), np.zeros(0), count=2)
    one = unit_buckets(np.array([1]), np.array([3.0]), count=2)

    assert nothing.merged(one) == one.merged(nothing) == UnitBuckets((0.0, 3.0), (0.0, 1.0))


def test_different_numbers_of_buckets_do_not_merge() -> None:
    with pytest.raises(InvalidArgument, match="3 and 2 buckets"):
        UnitBuckets((0.0,) * 3, (0.0,) * 3).merged(UnitBuckets((0.0,) * 2, (0.0,) * 2))


def test_units_spread_evenly_over_buckets_and_stay_in_theirs() -> None:
    found = [unit_bucket(f"user-{number}", 100) for number in range(20_000)]

    counts = np.bincount(found, minlength=100)
    assert ((counts - 200) ** 2 / 200).sum() < 160  # chi-square of 99, above in 1 of 10 000
    assert unit_bucket("user-7", 100) == found[7]


def latencies(rng: np.random.Generator, bins: LogBins, buckets: int = 200) -> Array:
    """Counts [buckets, bins] of lognormal values around 0.05 s with an effect of each bucket."""
    of_bucket = rng.normal(0, 0.15, (buckets, 1))
    values = np.exp(rng.normal(math.log(0.05), 0.5, (buckets, 60)) + of_bucket)
    places = bins.index(values) + np.arange(buckets)[:, np.newaxis] * bins.count
    return np.bincount(places.ravel(), minlength=buckets * bins.count).reshape(buckets, -1)


def test_a_quantile_and_its_standard_error_are_those_of_simulation() -> None:
    rng, bins = np.random.default_rng(6), LogBins(1e-3, 10)
    found = [quantile(latencies(rng, bins), bins, 0.9) for _ in range(200)]

    values = np.array([estimate.value for estimate in found])
    true = 0.05 * math.exp(1.2816 * math.hypot(0.5, 0.15))
    assert values.mean() == pytest.approx(true, rel=0.005)
    expected_se = math.sqrt(np.mean([estimate.variance for estimate in found]))
    assert expected_se == pytest.approx(values.std(), rel=0.15)


def test_a_quantile_lies_between_the_ends_of_its_bin() -> None:
    bins, values = LogBins(1e-3, 10), np.full((2, 50), 0.25)
    counts = np.array([np.bincount(bins.index(row), minlength=bins.count) for row in values])

    assert quantile(counts, bins, 0.5).value == pytest.approx(0.25, rel=0.02)


def test_values_beyond_the_bins_count_in_the_outermost() -> None:
    bins = LogBins(1.0, 100.0)

    assert bins.index(np.array([0.0, 0.5, 1.0, 1e9])).tolist() == [0, 0, 0, bins.count - 1]


def test_a_quantile_of_one_bucket_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="buckets"):
        quantile(np.array([[1, 2], [0, 0]]), LogBins(1.0, 1.03), 0.5)
