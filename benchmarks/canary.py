"""How often the judge of a canary is wrong, and how long it takes to be right, in simulations.

python -m benchmarks.canary
"""

import sys
from itertools import product

import numpy as np
from scipy.special import ndtr

from augurium.core.arm_counts import ArmCounts
from augurium.core.canary_plan import CanaryPlan
from augurium.statistics.stratified_difference import StratifiedDifference
from augurium.traffic.canary import Canary, CanaryState, advance
from augurium.traffic.canary_evidence import CanaryTick
from benchmarks.canary_runs import Floats, Runs, alarms, checked, drawn
from benchmarks.saved import print_and_save

HOUR_S = 3600
RATE = 1000  # requests/s of both arms, of which the candidate has 5 %
PLAN = CanaryPlan(2)
# of the baseline's latencies, which are log-normal
MEDIAN_MS, P99_MS = 10, 40
Z99 = 2.3263

Pair = tuple[float, float]


def measure() -> dict[str, object]:
    return {
        "plan": PLAN,
        "no_difference_for_an_hour": _without_difference(),
        "rolled_back": _detections(),
        "promoted": _promotions(),
        "let_through_at_the_margin": _let_through(),
    }


def _without_difference() -> list[dict[str, object]]:
    rng, found = np.random.default_rng(1), []
    for tick_s, rate, kind in [
        (2, 0.01, "steady"),
        (10, 0.001, "steady"),
        (10, 0.01, "steady"),
        (2, 0.002, "ramping weights, bursts"),
        (10, 0.002, "ramping weights, bursts"),
    ]:
        count = 1000 if tick_s == 2 else 2000
        shape = (round(HOUR_S / tick_s), count)
        share, rates = np.full((shape[0], 1), 0.05), np.full(shape, rate)
        if kind != "steady":
            share[:, 0] = np.repeat([0.01, 0.05, 0.25, 0.5], shape[0] // 4)
            # one burst in five minutes strikes both arms for 20 s, with 20 times as many errors
            begins = rng.random(shape) < tick_s / 300
            for later in range(max(1, 20 // tick_s)):
                rates[later:][begins[: shape[0] - later]] = rate * 20
        arms = (
            drawn(rng, tick_s, np.broadcast_to(RATE * tick_s * part, shape), rates, 0.01)
            for part in (share, 1 - share)
        )
        runs = Runs(tick_s, *arms)
        alarm = alarms(runs, PLAN)
        found.append(
            {
                "tick_s": tick_s,
                "error_rate": rate,
                "breach_rate": 0.01,
                "kind": kind,
                "runs": count,
                "rolled_back_share": float(np.mean(alarm >= 0)),
            }
        )
    return found


def _detections() -> list[dict[str, object]]:
    rng, count, found = np.random.default_rng(2), 200, []
    cases: list[tuple[str, float, float, Pair, Pair]] = [
        ("errors 1 % to 5 %", 50, 950, (0.01, 0.05), (0, 0)),
        ("errors 0.1 % to 0.5 %", 50, 950, (0.001, 0.005), (0, 0)),
        ("errors 0.1 % to 0.2 %", 50, 950, (0.001, 0.002), (0, 0)),
        ("errors 1 % to 5 %, 1 request/s", 1, 19, (0.01, 0.05), (0, 0)),
    ]
    for slo_ms in (50, 100):
        doubled, spread = _beyond(slo_ms, 2), _beyond(slo_ms, 1, 2)
        both = (_beyond(slo_ms, 1), doubled), (_beyond(slo_ms, 1), spread)
        cases += [
            (f"all twice as slow, objective {slo_ms} ms", 50, 950, (0, 0), both[0]),
            (f"p99 twice as slow, objective {slo_ms} ms", 50, 950, (0, 0), both[1]),
        ]
    for name, mine, other, errors, breaches in cases:
        often = name == "errors 1 % to 5 %"
        for good_s, tick_s in product((0, 300, HOUR_S) if often else (0, HOUR_S), (2, 10)):
            if tick_s == 10 and not often:
                continue
            lasts_s = 1200 if mine == 1 or errors[1] == 0.002 else 300
            runs = _changed(rng, count, tick_s, (mine, other), errors, breaches, good_s, lasts_s)
            found.append(
                {"case": name, "good_s": good_s, "tick_s": tick_s, "runs": count}
                | _times(runs, round(good_s / tick_s), runs_judged=2 if good_s <= 300 else 0)
            )
    return found


def _beyond(slo_ms: float, slower: float, tail: float = 1) -> float:
    """The share of answers beyond the objective; `tail` is how much larger the p99 alone is."""
    sigma = np.log(P99_MS * tail / MEDIAN_MS) / Z99
    return float(ndtr(-np.log(slo_ms / MEDIAN_MS / slower) / sigma))


def _changed(
    rng: np.random.Generator,
    count: int,
    tick_s: float,
    rates: Pair,
    errors: Pair,
    breaches: Pair,
    good_s: float,
    lasts_s: float,
) -> Runs:
    """Runs whose candidate goes from the first to the second rate at the end of a tick."""
    before = round(good_s / tick_s)
    shape = (before + round(lasts_s / tick_s), count)
    old = np.arange(shape[0])[:, None] < before

    candidate = drawn(
        rng,
        tick_s,
        np.full(shape, rates[0] * tick_s),
        np.where(old, *errors),
        np.where(old, *breaches),
    )
    requests = np.full(shape, rates[1] * tick_s)
    return Runs(tick_s, candidate, drawn(rng, tick_s, requests, errors[0], breaches[0]))


def _times(runs: Runs, before: int, runs_judged: int) -> dict[str, object]:
    """Seconds from the change, which is somewhere in a tick, to the end of the tick that rolls
    back: those from the end of its tick, and half a tick.
    """
    alarm = alarms(runs, PLAN)
    late, half_s = alarm >= before, runs.tick_s / 2 if before else 0
    seconds = np.where(late, (alarm - before + 1) * runs.tick_s + half_s, np.inf)
    times = seconds[(alarm < 0) | late]
    return {
        "rolled_back_share": float(np.mean(late)),
        "before_the_change_share": float(np.mean((alarm >= 0) & ~late)),
        "median_s": _seconds(times, 0.5),
        "p90_s": _seconds(times, 0.9),
        "judge_says_the_same": checked(runs, PLAN, alarm, runs_judged) if runs_judged else None,
    }


def _seconds(times: Floats, share: float) -> float | None:
    found = np.sort(times)[int(np.ceil(share * len(times))) - 1]
    return round(float(found), 1) if np.isfinite(found) else None


def _promotions() -> list[dict[str, object]]:
    """Minutes of a good candidate in each step, at 1 000 requests/s, with ticks of 10 s."""
    rng, found = np.random.default_rng(3), []
    for rate, margin_pp in [(0.0, 0.1), (0.001, 0.1), (0.01, 0.1), (0.01, 0.5)]:
        plan = CanaryPlan(2, tick_s=10, margin_pp=margin_pp)
        minutes = [_minutes(rng, plan, rate) for _ in range(5)]
        ended = [steps for steps in minutes if steps is not None]
        found.append(
            {
                "error_rate": rate,
                "margin_pp": margin_pp,
                "runs": len(minutes),
                "promoted": len(ended),
                "minutes_to_promotion_median": float(np.median([sum(one) for one in ended])),
                "minutes_by_step_median": [
                    float(np.median(one)) for one in zip(*ended, strict=True)
                ],
            }
        )
    return found


def _minutes(rng: np.random.Generator, plan: CanaryPlan, rate: float) -> list[float] | None:
    canary, ages = Canary(), []
    for _ in range(8 * 360):
        share = plan.steps[canary.step] / 100
        baseline, candidate = (
            ArmCounts(n, int(rng.binomial(n, rate)), 0, 0, {400: n})
            for n in (round(RATE * 10 * (1 - share)), round(RATE * 10 * share))
        )
        step, before_s = canary.step, canary.step_s
        canary, _ = advance(canary, plan, CanaryTick(10, baseline, candidate), 0)
        if canary.step > step or canary.state is CanaryState.PROMOTED:
            ages.append((before_s + 10) / 60)
        if canary.ended:
            break
    return ages if canary.state is CanaryState.PROMOTED else None


def _let_through() -> list[dict[str, object]]:
    """Shares of candidates that are worse by just the margin, and pass once within an hour."""
    rng, margin = np.random.default_rng(4), PLAN.margin_pp / 100
    found: list[dict[str, object]] = []
    for rate in (0.0, 0.001, 0.01):
        passed, count = 0, 300
        for _ in range(count):
            known = StratifiedDifference()
            mine, other = rng.binomial(500, rate + margin, 360), rng.binomial(9500, rate, 360)
            for one, another in zip(mine.tolist(), other.tolist(), strict=True):
                known = known.updated(one, 500, another, 9500)
                if known.n >= PLAN.least_requests and known.interval(PLAN.alpha)[1] < margin:
                    passed += 1
                    break
        found.append({"error_rate": rate, "runs": count, "passed_share": passed / count})
    return found


if __name__ == "__main__":
    sys.exit(print_and_save("canary", measure))
