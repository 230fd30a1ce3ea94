"""The judge of a canary: from what is known of both arms to what to do, and why.

Hard limits come first. Errors and breaches of the objective are compared sequentially, which may be
looked at in every tick; latencies, quality and scores can hold a candidate back; and only a
candidate whose errors are known to be within the margin is promoted.
"""

import math

from scipy.special import ndtri

from augurium.core.canary_plan import CanaryPlan, QualityMetric
from augurium.statistics.estimates import difference, mean, moments_of_sums
from augurium.statistics.guardrails import GuardrailState, guardrail
from augurium.statistics.log_histogram import GROWTH, LogHistogram
from augurium.statistics.moments import Moments
from augurium.statistics.proportions import newcombe
from augurium.statistics.rank_comparison import compared, shift
from augurium.traffic.canary_evidence import (
    BinaryEvidence,
    Evidence,
    breach_counts,
    error_counts,
)
from augurium.traffic.canary_findings import Finding, Outcome, Verdict, verdict_of
from augurium.traffic.canary_limits import limit_findings

# outcomes of each arm before its quality says anything
LEAST_OUTCOMES = 100


def judge(plan: CanaryPlan, evidence: Evidence, held_s: float) -> Verdict:
    """What to do with a candidate that has been in its step for `held_s`."""
    traffic = _traffic(plan, evidence, held_s)
    return verdict_of(
        (
            *limit_findings(plan, evidence),
            _sequential(plan, "errors", evidence.errors, _error_pair(evidence)),
            _sequential(plan, "slo_breaches", evidence.breaches, _breach_pair(plan, evidence)),
            traffic,
            _latency(plan, evidence),
            _margin(plan, evidence),
            *([_quality(plan, plan.quality, evidence)] if plan.quality else []),
            _drift(plan, evidence),
        )
    )


def judge_limits(plan: CanaryPlan, evidence: Evidence) -> Verdict:
    """The same by hard limits alone, as in warm-up and while it is paused; it promotes nothing."""
    waits = Finding(check="compared", outcome=Outcome.OPEN, reason="the arms are not compared now")
    return verdict_of((*limit_findings(plan, evidence), waits))


Pair = tuple[tuple[int, int], tuple[int, int]]


def _error_pair(evidence: Evidence) -> Pair:
    window = evidence.window
    return error_counts(window.candidate), error_counts(window.baseline)


def _breach_pair(plan: CanaryPlan, evidence: Evidence) -> Pair:
    window = evidence.window
    return breach_counts(plan, window.candidate), breach_counts(plan, window.baseline)


def _sequential(plan: CanaryPlan, check: str, evidence: BinaryEvidence, lately: Pair) -> Finding:
    """Fails where the evidence is there and the difference matters, now or in all its life."""
    (events, n), (other, m) = lately
    statistic, threshold = evidence.process.log_e, -math.log(plan.share_of_alpha)
    low, high = newcombe(events, n, other, m, plan.alpha)
    known = statistic >= threshold
    failed = known and (_matters(plan, *lately) or _mattered(plan, evidence))
    what = check.replace("slo_", "SLO ")
    counted = f"{events} {what} in {n} requests beside {other} in {m}"
    said = "are more" if failed else "differ by too little to matter" if known else "are no more"
    return Finding(
        check=check,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
        reason=f"{what} {said}: lately {counted}, ln e {statistic:.4g} of {threshold:.4g}",
        baseline=other / m if m else None,
        candidate=events / n if n else None,
        statistic=statistic,
        threshold=threshold,
        low=low,
        high=high,
        n=n,
    )


def _matters(plan: CanaryPlan, mine: tuple[int, int], other: tuple[int, int]) -> bool:
    if not mine[1] or not other[1]:
        return False
    rate, before = mine[0] / mine[1], other[0] / other[1]
    return _large(plan, rate - before, before)


def _mattered(plan: CanaryPlan, evidence: BinaryEvidence) -> bool:
    known = evidence.difference
    return known.weight > 0 and _large(plan, known.value, known.baseline)


def _large(plan: CanaryPlan, more: float, before: float) -> bool:
    return more >= plan.absolute_pp / 100 and more >= plan.relative_percent / 100 * before


def _traffic(plan: CanaryPlan, evidence: Evidence, held_s: float) -> Finding:
    n, lately = evidence.step.candidate.requests, evidence.window.candidate.requests
    enough = n >= plan.least_requests and held_s >= plan.hold_s
    outcome = Outcome.PASSED if enough else Outcome.OPEN
    if not lately:
        outcome = Outcome.NO_DATA
    said = f"{n} of {plan.least_requests} requests in {held_s:.0f} of {plan.hold_s:.0f} s"
    return Finding(
        check="traffic",
        outcome=outcome,
        reason=said if lately else f"nobody asks the candidate: {said}",
        statistic=n,
        threshold=plan.least_requests,
        n=n,
    )


def _latency(plan: CanaryPlan, evidence: Evidence) -> Finding:
    """Open where the candidate is slower: that holds it back, and rolls nothing back."""
    mine, other = evidence.step.candidate.latency, evidence.step.baseline.latency
    moved = shift(mine, other, plan.alpha)
    if moved is None:
        return Finding(check="latency", outcome=Outcome.TOLD, reason="no latencies to compare")
    rank = compared(mine, other)
    low, value, high = (GROWTH**bins for bins in (moved.low, moved.value, moved.high))
    p99 = [LogHistogram(dict(counts)).quantile(0.99) or 0.0 for counts in (other, mine)]
    slower = rank.p_value < plan.alpha and value > 1 + plan.relative_percent / 100
    return Finding(
        check="latency",
        outcome=Outcome.OPEN if slower else Outcome.PASSED,
        reason=f"answers take {value:.3g} times as long ({low:.3g} to {high:.3g}), "
        f"p99 {p99[1] * 1000:.4g} ms beside {p99[0] * 1000:.4g} ms",
        baseline=p99[0],
        candidate=p99[1],
        statistic=rank.z,
        threshold=1 + plan.relative_percent / 100,
        low=low,
        high=high,
        n=sum(mine.values()),
    )


def _margin(plan: CanaryPlan, evidence: Evidence) -> Finding:
    """Passes where the errors are known to be within the margin, at all times together."""
    known = evidence.errors.difference
    low, high = known.interval(plan.alpha)
    margin = plan.margin_pp / 100
    passed = high < margin
    return Finding(
        check="margin",
        outcome=Outcome.PASSED if passed else Outcome.OPEN,
        reason=f"at most {high * 100:.3g} percentage points more errors, "
        f"{'within' if passed else 'not yet within'} the margin of {plan.margin_pp:g}",
        statistic=high,
        threshold=margin,
        low=low,
        high=high,
        n=round(known.n),
    )


def _quality(plan: CanaryPlan, metric: QualityMetric, evidence: Evidence) -> Finding:
    mine, other = evidence.quality.candidate, evidence.quality.baseline
    if min(mine.n, other.n) < LEAST_OUTCOMES:
        said = f"{metric.name}: {mine.n} outcomes beside {other.n}, {LEAST_OUTCOMES} are needed"
        return Finding(check="quality", outcome=Outcome.OPEN, reason=said, n=mine.n)
    effect = difference(mean(other), mean(mine))
    worse, alpha = not metric.higher_is_better, plan.share_of_alpha
    found = guardrail(effect, metric.margin, metric.planned, worse, alpha)
    outcome = {
        GuardrailState.KEPT: Outcome.PASSED,
        GuardrailState.BREACHED: Outcome.FAILED,
        GuardrailState.OPEN: Outcome.OPEN,
    }[found.state]
    return Finding(
        check="quality",
        outcome=outcome,
        reason=f"{metric.name} {mine.mean:.4g} beside {other.mean:.4g}, worse by "
        f"{found.least_harm:.3g} to {found.most_harm:.3g}, margin {metric.margin:g}",
        baseline=other.mean,
        candidate=mine.mean,
        statistic=found.most_harm,
        threshold=metric.margin,
        low=found.least_harm,
        high=found.most_harm,
        n=mine.n,
    )


def _drift(plan: CanaryPlan, evidence: Evidence) -> Finding:
    """How far the scores have moved; told, unless the plan limits it."""
    mine, other = (
        moments_of_sums(arm.score_count, arm.score_sum, arm.score_squares)
        for arm in (evidence.step.candidate, evidence.step.baseline)
    )
    far = standardized(mine, other)
    if far is None:
        return Finding(check="drift", outcome=Outcome.TOLD, reason="no scores to compare")
    limit, width = plan.drift_limit, distance_width(mine, other, far, plan.alpha)
    outcome = Outcome.TOLD
    if limit is not None:
        outcome = Outcome.OPEN if abs(far) > limit else Outcome.PASSED
    return Finding(
        check="drift",
        outcome=outcome,
        reason=f"scores average {mine.mean:.4g} beside {other.mean:.4g} and vary by "
        f"{math.sqrt(mine.variance):.3g} beside {math.sqrt(other.variance):.3g}, "
        f"{far:.3g} standard deviations apart ({far - width:.3g} to {far + width:.3g})",
        baseline=other.mean,
        candidate=mine.mean,
        statistic=far,
        threshold=limit,
        low=far - width,
        high=far + width,
        n=mine.n,
    )


def standardized(mine: Moments, other: Moments) -> float | None:
    """The difference of the means in pooled standard deviations (Cohen's d); None without two
    values of each that vary.
    """
    if min(mine.n, other.n) < 2 or not mine.m2 + other.m2 > 0:
        return None
    return (mine.mean - other.mean) / math.sqrt((mine.m2 + other.m2) / (mine.n + other.n - 2))


def distance_width(mine: Moments, other: Moments, far: float, alpha: float) -> float:
    """Half of the interval of such a distance, for one look (Hedges and Olkin 1985)."""
    n = mine.n + other.n
    variance = n / (mine.n * other.n) + far * far / (2 * n)
    return -float(ndtri(alpha / 2)) * math.sqrt(variance)
