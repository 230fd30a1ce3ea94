"""Whether experiments err as seldom as they say: simulations, 80 seconds of one core.

Seeds are fixed. Looks and peeks: errors and power of a fixed test, of naive peeking, of
group-sequential bounds and of confidence sequences. Whole verdicts of experiments without an
effect, whose units have several requests that are alike. The sample ratio test, CUPED, buckets of
units, and what a bandit loses.

    python -m benchmarks.experiments
"""

import math
import sys
import time
from collections.abc import Callable

import numpy as np

from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.core.tensors import Array
from augurium.core.traffic_policy import Variant
from augurium.statistics.confidence_sequences import half_width
from augurium.statistics.cuped import cuped
from augurium.statistics.estimates import difference, proportion
from augurium.statistics.group_sequential import Spending, bounds
from augurium.statistics.joint_moments import joint_moments
from augurium.statistics.sample_ratio import log_match, log_mismatch, sample_ratio
from augurium.statistics.thompson import BetaPosterior, thompson_shares
from augurium.statistics.unit_buckets import unit_buckets
from augurium.traffic.experiment_result import ExperimentRun, Outcome
from augurium.traffic.experiment_verdict import experiment_verdict
from augurium.traffic.variant_sums import ExperimentSums, MetricSums, PhaseSums, VariantSums
from benchmarks.saved import print_and_save

LOOKS = 7
ALPHA = 0.05
Z = 1.959964
DRIFT = Z + 0.841621  # of a fixed test with a power of 80 %
DAY_S = 86_400.0


def measure() -> dict[str, object]:
    """All of them, with the seconds that each took."""
    parts: dict[str, Callable[[], object]] = {
        "seven_looks": seven_looks,
        "five_thousand_looks": many_looks,
        "verdicts": verdicts,
        "sample_ratio": sample_ratios,
        "cuped": covariates,
        "buckets": buckets,
        "bandit": bandit,
    }
    found: dict[str, object] = {}
    seconds: dict[str, float] = {}
    for name, part in parts.items():
        began = time.perf_counter()
        found[name] = part()
        seconds[name] = round(time.perf_counter() - began, 1)
    return {**found, "seconds": seconds}


def seven_looks(runs: int = 400_000) -> dict[str, object]:
    """Errors without an effect, and power where a test with one look has 80 %; equal looks."""
    rng = np.random.default_rng(1)
    times = np.arange(1, LOOKS + 1) / LOOKS
    steps = rng.normal(size=(runs, LOOKS)) / math.sqrt(LOOKS)
    scores = np.cumsum(steps, axis=1)
    limits = {
        "one look": np.array([math.inf] * (LOOKS - 1) + [Z]),
        "naive peeking": np.full(LOOKS, Z),
        "O'Brien-Fleming": np.array(bounds(times.tolist(), 1.0)),
        "Pocock": np.array(bounds(times.tolist(), 1.0, spending=Spending.POCOCK)),
        "confidence sequence": half_width(1.0, times, 1.0),
    }
    return {
        name: {
            "type_1_error": _crossing(scores / np.sqrt(times), limit),
            "power": _crossing((scores + DRIFT * times) / np.sqrt(times), limit),
        }
        for name, limit in limits.items()
    }


def _crossing(z: Array, limit: Array) -> float:
    return round(float((np.abs(z) >= limit).any(axis=1).mean()), 4)


def many_looks(runs: int = 20_000, looks: int = 5000) -> dict[str, float]:
    """Errors of looking after every unit, from the hundredth on."""
    rng = np.random.default_rng(2)
    times = np.arange(1, looks + 1)
    limit = half_width(1.0, times.astype(float), looks).astype(np.float32)[99:]
    naive = sequence = 0
    for _ in range(runs // 500):
        walk = np.cumsum(rng.standard_normal((500, looks), np.float32), axis=1)
        z = np.abs(walk / np.sqrt(times).astype(np.float32))[:, 99:]
        naive += int((z >= Z).any(axis=1).sum())
        sequence += int((z >= limit).any(axis=1).sum())
    return {"naive peeking": naive / runs, "confidence sequence": sequence / runs}


def verdicts(runs: int = 600, units: int = 1000) -> dict[str, float]:
    """Experiments of seven days, A against A, asked every twelve hours: how many say that there is
    a difference. Requests of a unit are alike.
    """
    rng = np.random.default_rng(3)
    metric = ExperimentMetric("clicks", per="request")
    design = ExperimentDesign(
        hypothesis="there is none",
        variants=(Variant(1, 50, "a"), Variant(1, 50, "b")),
        metrics=(metric,),
        guardrails=(),
    )
    wrong = asked = 0
    for _ in range(runs):
        run, sums = ExperimentRun(started_at=0.0), _nothing()
        for half in range(1, 2 * LOOKS + 1):
            sums = sums.merged(_more(rng, units // 2))
            verdict = experiment_verdict(design, sums, run, half * DAY_S / 2)
            run, asked = verdict.run, asked + 1
            if verdict.outcome is not Outcome.RUNNING:
                break
        wrong += verdict.outcome in (Outcome.SHIP, Outcome.HARM)
    return {"experiments": runs, "verdicts": asked, "wrong": wrong / runs}


def _nothing() -> ExperimentSums:
    return ExperimentSums((PhaseSums({"a": 0.5, "b": 0.5}, {}),))


def _more(rng: np.random.Generator, units: int) -> ExperimentSums:
    variants = {}
    for label in ("a", "b"):
        places, clicks, requests = _requests(rng, units)
        found = MetricSums(unit_buckets(places, clicks, requests))
        variants[label] = VariantSums(units, int(requests.sum()), {"clicks": found})
    return ExperimentSums((PhaseSums({"a": 0.5, "b": 0.5}, variants),))


def _requests(rng: np.random.Generator, units: int) -> tuple[Array, Array, Array]:
    """Buckets, clicks and requests of units that differ in how often they click."""
    requests = rng.poisson(10, units) + 1
    clicks = rng.binomial(requests, rng.beta(1, 4, units)).astype(np.float64)
    return rng.integers(0, 500, units), clicks, requests.astype(np.float64)


def sample_ratios(runs: int = 20_000, peeks: int = 28) -> dict[str, float]:
    """The sequential test of an even split, asked after every block of 1000 units."""
    rng = np.random.default_rng(4)
    prior = np.array(sample_ratio((0.5, 0.5)).prior)

    def least(share: float) -> Array:
        counts = np.cumsum(rng.binomial(1000, share, (runs, peeks)), axis=1)
        totals = 1000 * np.arange(1, peeks + 1)
        both = np.stack([counts, totals - counts], axis=-1).astype(np.float64)
        odds = log_mismatch(both, prior) - log_match(both, np.array([0.5, 0.5]))
        return np.asarray(-odds.max(axis=1))

    even, uneven = least(0.5), least(0.485)
    naive = rng.binomial(1000, 0.5, (runs, peeks)).cumsum(axis=1)
    totals = 1000 * np.arange(1, peeks + 1)
    z = np.abs(naive - totals / 2) / np.sqrt(totals / 4)
    return {
        "false_alarms_at_0.05": float((even < math.log(0.05)).mean()),
        "false_alarms_at_0.001": float((even < math.log(0.001)).mean()),
        "chi_square_at_every_peek_0.001": float((z > 3.2905).any(axis=1).mean()),
        "found_of_48.5_to_51.5_at_0.001": float((uneven < math.log(0.001)).mean()),
    }


def covariates(runs: int = 10_000, units: int = 500) -> dict[str, dict[str, float]]:
    """What is left of the variance of a difference, and the type I error, by correlation."""
    rng = np.random.default_rng(5)
    found = {}
    for rho in (0.3, 0.5, 0.7, 0.9):
        effects, wrong, plain = [], 0, []
        for _ in range(runs):
            before = rng.normal(size=(2, units))
            after = rho * before + math.sqrt(1 - rho**2) * rng.normal(size=(2, units))
            arms = [joint_moments(*pair) for pair in zip(before, after, strict=True)]
            effect = difference(*cuped(arms).estimates)
            effects.append(effect.value)
            plain.append(float(after[1].mean() - after[0].mean()))
            wrong += effect.p_value < ALPHA
        found[f"{rho}"] = {
            "variance_ratio": round(float(np.var(effects) / np.var(plain)), 3),
            "one_minus_rho_squared": round(1 - rho**2, 3),
            "type_1_error": wrong / runs,
        }
    return found


def buckets(runs: int = 2000, units: int = 2000) -> dict[str, float]:
    """Errors where units have several requests that are alike."""
    rng = np.random.default_rng(6)
    bucketed = naive = 0
    for _ in range(runs):
        arms = [_requests(rng, units) for _ in range(2)]
        bucketed += difference(*(unit_buckets(*arm).estimate() for arm in arms)).p_value < ALPHA
        plain = [proportion(float(arm[1].sum()), int(arm[2].sum())) for arm in arms]
        naive += difference(*plain).p_value < ALPHA
    return {"buckets_of_units": bucketed / runs, "requests_as_if_independent": naive / runs}


def bandit(runs: int = 60, hours: int = 84, units: int = 500) -> dict[str, float]:
    """Rewards lost against the best of three, in percent of it, by a bandit and an even split."""
    rng, rates = np.random.default_rng(7), np.array([0.10, 0.11, 0.13])
    lost, floor = 0.0, 0.05
    for _ in range(runs):
        had, seen, shares = np.zeros(3), np.zeros(3), np.full(3, 1 / 3)
        for _ in range(hours):
            counts = rng.multinomial(units, shares)
            had += rng.binomial(counts, rates)
            seen += counts
            lost += float(counts @ (rates.max() - rates))
            posteriors = [BetaPosterior(*pair) for pair in zip(had, seen - had, strict=True)]
            shares = thompson_shares(posteriors, floor)
    best = runs * hours * units * rates.max()
    return {
        "thompson_percent": round(100 * lost / float(best), 2),
        "even_split_percent": round(100 * float(1 - rates.mean() / rates.max()), 2),
        "floor_alone_percent": round(100 * floor * float((1 - rates / rates.max()).sum()), 2),
    }


if __name__ == "__main__":
    sys.exit(print_and_save("experiments", measure))
