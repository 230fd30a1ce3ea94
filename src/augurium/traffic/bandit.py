"""Weights of a bandit: to whom the next hour of traffic goes.

The loop asks every `Bandit.every_s` with the sums so far and sets the weights as a new policy.
What it is good for, and what it proves (nothing), says `statistics/thompson.py`. Rewards of all
phases are taken together, so a variant that got more of a good hour looks better than it is.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.core.tensors import Array
from augurium.core.traffic_policy import Variant
from augurium.core.traffic_slots import SLOTS
from augurium.statistics.thompson import BetaPosterior, NormalPosterior, Posterior, thompson_shares
from augurium.statistics.unit_buckets import UnitBuckets
from augurium.traffic.experiment_estimates import LEAST_SHOWN
from augurium.traffic.variant_sums import ExperimentSums


def bandit_variants(design: ExperimentDesign, sums: ExperimentSums) -> tuple[Variant, ...]:
    """The variants of the design with the weights of the first primary metric's rewards.

    As designed until every variant has a hundred units: before, chance would decide. Raises
    InvalidArgument for a design without a bandit.
    """
    if design.bandit is None:
        raise InvalidArgument("the design has no bandit; give it one, or keep its weights")
    labels = (design.control, *design.treatments)
    reward = design.primaries[0]
    found = [_posterior(reward, sums, label) for label in labels]
    posteriors = [one for one in found if one is not None]
    if len(posteriors) < len(labels):
        return design.variants
    slots = _slots(thompson_shares(posteriors, design.bandit.floor))
    return tuple(
        msgspec.structs.replace(variant, weight=round(count * 100 / SLOTS, 2))
        for variant, count in zip(design.variants, slots, strict=True)
    )


def _posterior(metric: ExperimentMetric, sums: ExperimentSums, label: str) -> Posterior | None:
    """What is believed of a reward; None before there is enough of it."""
    if sums.units_of(label) < LEAST_SHOWN:
        return None
    values, weights = _rewards(metric, sums, label)
    total, weight = float(values.sum()), float(weights.sum())
    lower = metric.direction == "lower"
    if metric.kind == "binary" and metric.per == "unit":
        had, had_not = total, weight - total
        return BetaPosterior(had_not, had) if lower else BetaPosterior(had, had_not)
    estimate = UnitBuckets(tuple(values.tolist()), tuple(weights.tolist())).estimate()
    if not estimate.variance > 0:
        return None
    sign = -1 if lower else 1
    return NormalPosterior(sign * estimate.value, float(np.sqrt(estimate.variance)))


def _rewards(metric: ExperimentMetric, sums: ExperimentSums, label: str) -> tuple[Array, Array]:
    """Per bucket of units the sum of rewards and of weights, of all phases."""
    found = [
        part.buckets
        for phase in sums.phases
        if (part := phase.of(label).metrics.get(metric.name)) is not None
        and part.buckets is not None
    ]
    if not found:
        return np.zeros(1), np.zeros(1)
    return (
        np.sum([one.values for one in found], axis=0),
        np.sum([one.weights for one in found], axis=0),
    )


def _slots(shares: Sequence[float] | Array) -> list[int]:
    """Whole slots, all of them: the largest remainders are rounded up."""
    exact = np.asarray(shares) * SLOTS
    slots = np.floor(exact).astype(np.int64)
    order = np.argsort(slots - exact)
    slots[order[: SLOTS - int(slots.sum())]] += 1
    return [int(count) for count in slots]
