"""Many canaries at once: what both arms count in every tick, and when the judge would roll back.

Arrays have the shape [ticks, runs]. The judge itself says the same of the first few runs, which
`checked` makes sure of.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from augurium.core.arm_counts import ArmCounts
from augurium.core.canary_plan import CanaryPlan
from augurium.statistics.odds_e_process import ODDS, advanced, log_evidence, weight_begun
from augurium.statistics.proportions import wilson
from augurium.traffic.canary_evidence import WINDOW_S, CanaryTick, Evidence
from augurium.traffic.canary_findings import Action
from augurium.traffic.canary_judge import judge
from augurium.traffic.canary_limits import LIMIT_ALPHA

# bins of a histogram that are within, and beyond, any objective
FAST, SLOW = 100, 900

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Arm(NamedTuple):
    """Counts of one arm."""

    requests: Counts
    errors: Counts
    breaches: Counts

    def at(self, tick: int, run: int) -> ArmCounts:
        n, slow = int(self.requests[tick, run]), int(self.breaches[tick, run])
        latency = {FAST: n - slow, SLOW: slow}
        return ArmCounts(n, int(self.errors[tick, run]), slow, 0, latency)


class Runs(NamedTuple):
    """Both arms."""

    tick_s: float
    candidate: Arm
    baseline: Arm


def drawn(
    rng: np.random.Generator,
    tick_s: float,
    requests: Floats,
    errors: Floats | float,
    breaches: Floats | float,
) -> Arm:
    """Requests by Poisson with these means, and events among them with these rates."""
    n = rng.poisson(requests)
    return Arm(n, rng.binomial(n, errors), rng.binomial(n, breaches))


def alarms(runs: Runs, plan: CanaryPlan, from_tick: int = 0) -> Counts:
    """The first tick from this one on after which each run is rolled back; -1 for never."""
    first = np.full(runs.candidate.requests.shape[1], -1)
    parts = [_sequential(runs, plan, "errors"), _sequential(runs, plan, "breaches")]
    for tick, (errors, breaches, limit) in enumerate(zip(*parts, _limits(runs, plan), strict=True)):
        if tick >= from_tick:
            first[(first < 0) & (errors | breaches | limit)] = tick
    return first


def checked(runs: Runs, plan: CanaryPlan, found: Counts, count: int = 3) -> bool:
    """Whether the judge rolls the first few runs back at the same ticks."""
    return all(_judged(runs, plan, run) == found[run] for run in range(count))


def _judged(runs: Runs, plan: CanaryPlan, run: int) -> int:
    evidence = Evidence()
    for tick in range(len(runs.candidate.requests)):
        baseline, candidate = (arm.at(tick, run) for arm in (runs.baseline, runs.candidate))
        evidence = evidence.compared(plan, CanaryTick(runs.tick_s, baseline, candidate))
        if judge(plan, evidence, 0).action is Action.ROLL_BACK:
            return tick
    return -1


def _sequential(runs: Runs, plan: CanaryPlan, events: str) -> Iterator[Flags]:
    """Whether each run's evidence and difference are large enough, tick by tick."""
    mine, other = getattr(runs.candidate, events), getattr(runs.baseline, events)
    n, m = runs.candidate.requests, runs.baseline.requests
    lately = [windows(counts, runs.tick_s) for counts in (mine, n, other, m)]
    logs, begun = np.full((n.shape[1], len(ODDS)), -np.inf), 0.0
    threshold, sums = -math.log(plan.share_of_alpha), np.zeros((3, n.shape[1]))
    for tick in range(len(n)):
        both = np.maximum(n[tick] + m[tick], 1)
        more = weight_begun(tick * runs.tick_s)
        of_both = mine[tick] + other[tick]
        logs = advanced(logs, more - begun, mine[tick], of_both, n[tick] / both)
        begun = more
        sums += np.array([mine[tick] * m[tick], other[tick] * n[tick], n[tick] * m[tick]]) / both
        rate, before, total, base_total = (counts[tick] for counts in lately)
        now = _large(plan, rate / np.maximum(before, 1), total / np.maximum(base_total, 1))
        weight = np.maximum(sums[2], 1e-9)
        ever = _large(plan, sums[0] / weight, sums[1] / weight)
        yield (log_evidence(logs, begun) >= threshold) & (now | ever)


def _large(plan: CanaryPlan, rate: Floats, before: Floats) -> Flags:
    more = rate - before
    return (more >= plan.absolute_pp / 100) & (more >= plan.relative_percent / 100 * before)


def _limits(runs: Runs, plan: CanaryPlan) -> Iterator[Flags]:
    errors = windows(runs.candidate.errors, runs.tick_s)
    requests = windows(runs.candidate.requests, runs.tick_s)
    limit = plan.error_limit_percent / 100
    for failed, n in zip(errors, requests, strict=True):
        broken = np.zeros(len(n), bool)
        # few are near it: the interval of the others cannot be above
        for run in np.flatnonzero((n >= plan.error_limit_requests) & (failed > limit * n)):
            broken[run] = wilson(failed[run], n[run], LIMIT_ALPHA)[0] > limit
        yield broken


def windows(counts: Counts, tick_s: float) -> Counts:
    """Sums over the last one or two blocks of half a minute, as the judge keeps them."""
    block = math.ceil(WINDOW_S / tick_s)
    upto = np.concatenate((np.zeros((1, counts.shape[1]), counts.dtype), np.cumsum(counts, axis=0)))
    ends = np.arange(1, len(counts) + 1)
    starts = np.maximum(0, (ends - 1) // block - 1) * block
    sums: Counts = upto[ends] - upto[starts]
    return sums
