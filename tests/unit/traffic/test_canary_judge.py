"""What the judge of a canary makes of what both arms did."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.arm_counts import ArmCounts
from augurium.core.canary_plan import CanaryPlan, QualityMetric
from augurium.statistics.moments import Moments
from augurium.traffic.canary_evidence import CanaryTick, Evidence, Quality
from augurium.traffic.canary_findings import Action, Finding, Outcome, Verdict
from augurium.traffic.canary_judge import distance_width, judge, judge_limits, standardized
from tests.support.canary import arm, tick

PLAN = CanaryPlan(2, slo_ms=100)


def judged(*ticks: CanaryTick, plan: CanaryPlan = PLAN, held_s: float = 300) -> Verdict:
    evidence = Evidence()
    for one in ticks:
        evidence = evidence.compared(plan, one)
    return judge(plan, evidence, held_s)


def found(verdict: Verdict, check: str) -> Finding:
    return next(one for one in verdict.findings if one.check == check)


def test_a_candidate_that_is_as_good_is_promoted_when_enough_is_known() -> None:
    verdict = judged(*[tick(arm(1000))] * 30)

    assert verdict.action is Action.PROMOTE
    assert "within the margin" in verdict.reason


def test_it_is_held_until_its_errors_are_known_to_be_within_the_margin() -> None:
    verdict = judged(*[tick(arm(50))] * 30)

    assert verdict.action is Action.HOLD
    assert "not yet within the margin" in verdict.reason


def test_it_is_held_until_the_step_is_old_enough() -> None:
    verdict = judged(*[tick(arm(1000))] * 30, held_s=299)

    assert verdict.action is Action.HOLD
    assert verdict.reason == "30000 of 1000 requests in 299 of 300 s"


def test_more_errors_are_rolled_back() -> None:
    verdict = judged(tick(arm(500, 20), arm(9500, 95)))

    assert verdict.action is Action.ROLL_BACK
    errors = found(verdict, "errors")
    assert (errors.candidate, errors.baseline, errors.n) == (0.04, 0.01, 500)
    assert errors.threshold == pytest.approx(-math.log(0.005))
    assert errors.statistic is not None
    assert errors.low is not None
    assert errors.statistic > -math.log(0.005)
    assert errors.low > 0
    assert verdict.reason.startswith("errors are more: lately 20 errors in 500 requests beside 95")


def test_more_breaches_of_the_objective_are_rolled_back() -> None:
    verdict = judged(tick(arm(500, slow=30), arm(9500, slow=95)))

    assert verdict.action is Action.ROLL_BACK
    assert found(verdict, "slo_breaches").outcome is Outcome.FAILED
    assert found(verdict, "errors").outcome is Outcome.PASSED


def test_without_an_objective_in_the_plan_breaches_are_those_that_engines_counted() -> None:
    candidate, baseline = ArmCounts(500, 0, 30, 0, {9: 500}), ArmCounts(9500, 0, 95, 0, {9: 9500})

    verdict = judged(tick(candidate, baseline), plan=CanaryPlan(2))

    assert found(verdict, "slo_breaches").outcome is Outcome.FAILED


def test_errors_that_strike_both_arms_are_not_the_candidates() -> None:
    calm, outage = tick(arm(500, 1), arm(9500, 19)), tick(arm(500, 20), arm(9500, 380))

    assert judged(calm, outage, outage, calm).action is Action.HOLD


def test_a_difference_that_is_certain_and_too_small_to_matter_is_left() -> None:
    verdict = judged(*[tick(arm(500_000, 53_500), arm(500_000, 50_000))] * 3)

    assert found(verdict, "errors").outcome is Outcome.PASSED
    assert "too little to matter" in found(verdict, "errors").reason
    assert found(verdict, "error_limit").outcome is Outcome.FAILED


def test_a_candidate_that_turns_bad_after_an_hour_is_rolled_back_at_once() -> None:
    good, bad = tick(arm(500, 5), arm(9500, 95)), tick(arm(500, 25), arm(9500, 95))

    assert judged(*[good] * 360).action is not Action.ROLL_BACK
    assert judged(*[good] * 360, bad, bad).action is Action.ROLL_BACK


def test_too_many_errors_are_too_many_whatever_the_baseline_does() -> None:
    verdict = judged(tick(arm(100, 40), arm(1900, 760)))

    assert verdict.action is Action.ROLL_BACK
    assert "more than the limit of 5 %: at least 23" in verdict.reason


def test_an_objective_exceeded_twofold_at_the_99th_percentile_is_too_slow() -> None:
    slow = arm(600, seconds=0.25)

    assert judged(tick(slow, arm(600, seconds=0.25))).action is Action.ROLL_BACK
    few = judged(tick(arm(400, seconds=0.25), arm(400, seconds=0.25)))
    assert found(few, "slo_limit").outcome is Outcome.PASSED


def test_a_fault_is_enough() -> None:
    verdict = judged(CanaryTick(2, fault="the candidate could not be loaded: out of memory"))

    assert verdict.action is Action.ROLL_BACK
    assert "out of memory" in verdict.reason


def test_one_error_at_nearly_no_traffic_is_nothing() -> None:
    verdict = judged(tick(arm(1, 1), arm(19)))

    assert verdict.action is Action.HOLD
    assert judged(tick(arm(49, 6), arm(49, 6))).action is Action.HOLD


def test_nobody_asking_is_no_data_and_no_error_is_data() -> None:
    nobody = judged(*[CanaryTick(10)] * 40)
    without_errors = judged(*[tick(arm(1000))] * 40)

    assert nobody.action is Action.NO_DATA
    assert "nobody asks the candidate" in nobody.reason
    assert found(without_errors, "errors").candidate == 0


def test_traffic_that_stopped_is_no_data_even_after_a_good_time() -> None:
    verdict = judged(*[tick(arm(1000))] * 30, *[CanaryTick(10)] * 10)

    assert verdict.action is Action.NO_DATA


def test_errors_beside_a_baseline_that_is_not_asked_are_seen_by_the_limit_alone() -> None:
    few, many = tick(arm(100, 3), ArmCounts()), tick(arm(100, 30), ArmCounts())

    assert judged(few).action is Action.HOLD
    assert judged(many).action is Action.ROLL_BACK
    assert found(judged(many), "errors").baseline is None


def test_sparse_errors_beside_none_add_up() -> None:
    sparse = [tick(arm(600, errors), arm(600)) for errors in (0, 1, 2, 1, 0, 0)]

    assert judged(*sparse).action is Action.HOLD
    assert judged(*sparse * 4).action is Action.ROLL_BACK


def test_errors_are_never_trimmed_as_outliers() -> None:
    verdict = judged(*[tick(arm(500, 0), arm(9500, 10))] * 20, tick(arm(500, 15), arm(9500, 10)))

    assert verdict.action is Action.ROLL_BACK


def test_latencies_that_only_spread_more_are_seen_by_their_breaches() -> None:
    half = arm(500, seconds=0.005).merged(arm(500, seconds=0.5))
    spread, steady = tick(half, arm(1000, seconds=0.05)), tick(arm(1000, seconds=0.05))

    verdict = judged(spread, plan=CanaryPlan(2, slo_ms=100, slo_factor=10))

    assert found(verdict, "latency").outcome is Outcome.PASSED
    assert found(verdict, "slo_breaches").outcome is Outcome.FAILED
    assert found(judged(steady), "slo_breaches").outcome is Outcome.PASSED


def test_a_slower_candidate_within_its_objective_is_held_and_not_rolled_back() -> None:
    slower = tick(arm(1000, seconds=0.02), arm(19_000, seconds=0.01))

    verdict = judged(*[slower] * 60)

    assert verdict.action is Action.HOLD
    assert found(verdict, "latency").outcome is Outcome.OPEN
    assert verdict.reason.startswith("answers take 2")


@pytest.mark.parametrize(
    ("means", "n", "action"),
    [
        ((0.80, 0.80), 50_000, Action.PROMOTE),
        ((0.80, 0.60), 50_000, Action.ROLL_BACK),
        ((0.80, 0.80), 200, Action.HOLD),
        ((0.80, 0.80), 20, Action.HOLD),
    ],
)
def test_quality_that_is_known_decides_as_errors_do(
    means: tuple[float, float], n: int, action: Action
) -> None:
    plan = CanaryPlan(2, quality=QualityMetric("approved", 0.05))
    quality = Quality(*(Moments(n, mean, n * mean * (1 - mean)) for mean in means))
    ticks = [tick(arm(1000))] * 30

    verdict = judged(*ticks, CanaryTick(10, arm(19_000), arm(1000), quality), plan=plan)

    assert verdict.action is action


def test_scores_that_moved_are_told_and_hold_only_if_the_plan_says_so() -> None:
    ticks = [tick(arm(1000, score=0.9), arm(19_000, score=0.5))] * 30

    told, held = judged(*ticks), judged(*ticks, plan=CanaryPlan(2, drift_limit=0.5))

    assert (told.action, held.action) == (Action.PROMOTE, Action.HOLD)
    drift = found(told, "drift")
    assert drift.statistic == pytest.approx(4, rel=1e-3)
    assert drift.low is not None
    assert drift.high is not None
    assert 3.9 < drift.low < 4 < drift.high < 4.1
    assert "vary by 0.1 beside 0.1" in drift.reason


def test_the_distance_of_means_in_standard_deviations_is_that_of_kayenta() -> None:
    far = standardized(Moments(6, 7.5, 37.5), Moments(6, 1.5, 1.5))

    assert far == pytest.approx(3.03821, abs=1e-5)


def test_an_interval_of_a_distance_is_that_of_hedges_and_olkin() -> None:
    mine, other = Moments(50, 0.5, 49), Moments(50, 0.0, 49)

    # 0.5 +- 1.96 sqrt(100 / 2500 + 0.25 / 200)
    assert distance_width(mine, other, 0.5, 0.05) == pytest.approx(0.39811, abs=1e-4)


def test_every_finding_says_why() -> None:
    plan = CanaryPlan(2, slo_ms=100, quality=QualityMetric("approved", 0.05))

    for verdict in (judged(CanaryTick(10), plan=plan), judged(tick(arm(100, 90)), plan=plan)):
        assert {one.check for one in verdict.findings} >= {"errors", "margin", "quality", "drift"}
        assert all(one.reason for one in verdict.findings)


ARMS = st.builds(
    lambda n, bad, slow: arm(n, min(n, bad), min(n, slow)),
    st.integers(0, 500),
    st.integers(0, 20),
    st.integers(0, 20),
)
FIELDS: dict[str, Any] = {"baseline": ARMS, "candidate": ARMS}
TICKS = st.lists(st.builds(CanaryTick, st.floats(0, 30), **FIELDS), max_size=12)


@settings(max_examples=60)
@given(TICKS)
def test_nothing_is_promoted_by_hard_limits_and_nothing_without_the_margin(
    ticks: list[CanaryTick],
) -> None:
    evidence = Evidence()
    for one in ticks:
        evidence = evidence.compared(PLAN, one)

    assert judge_limits(PLAN, evidence).action in (Action.HOLD, Action.ROLL_BACK)
    verdict = judge(PLAN, evidence, 1e6)
    margin = found(verdict, "margin")
    assert margin.high is not None
    if verdict.action is Action.PROMOTE:
        assert margin.high < PLAN.margin_pp / 100
        assert evidence.step.candidate.requests >= PLAN.least_requests
