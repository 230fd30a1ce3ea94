"""Thompson sampling: each variant's share of the traffic is the probability that it is the best.

Thompson (1933). It loses less on bad variants than an even split, and that is all it is for:

- It proves nothing. Its means are biased, because what was unlucky early is asked less often, and
  no p-value or interval of this package holds for it; compare variants with a fixed split.
- Rewards must come soon: what is decided before they are known is decided on old shares.
- It takes variants to stay as they are; where rewards change over the day or week, the shares
  follow the mix of hours. `floor` keeps a share for every variant, so a change is noticed.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import msgspec
import numpy as np
from scipy.special import betainc, betaincinv, ndtr, ndtri, roots_legendre

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.estimates import Estimate

NODES = 512


class Posterior(Protocol):
    """What is believed of a variant's mean reward."""

    def below(self, values: Array) -> Array:
        """The probability that the mean is below each value."""
        ...

    def at(self, shares: Array) -> Array:
        """The value below which it is with each probability."""
        ...


class BetaPosterior(msgspec.Struct, frozen=True):
    """Of a reward that is 0 or 1, from a uniform prior."""

    successes: float = 0
    failures: float = 0

    def below(self, values: Array) -> Array:
        """The probability that the mean is below each value."""
        found: Array = betainc(self.successes + 1, self.failures + 1, np.clip(values, 0, 1))
        return found

    def at(self, shares: Array) -> Array:
        """The value below which it is with each probability."""
        found: Array = betaincinv(self.successes + 1, self.failures + 1, shares)
        return found


class NormalPosterior(msgspec.Struct, frozen=True):
    """Of any other reward, from a flat prior: normal around the mean of some hundred rewards."""

    mean: float
    deviation: float

    def below(self, values: Array) -> Array:
        """The probability that the mean is below each value."""
        found: Array = ndtr((values - self.mean) / self.deviation)
        return found

    def at(self, shares: Array) -> Array:
        """The value below which it is with each probability."""
        found: Array = self.mean + self.deviation * ndtri(shares)
        return found


def normal_posterior(estimate: Estimate) -> NormalPosterior:
    """The posterior of a mean. Raises InvalidArgument for one without variance."""
    if not estimate.variance > 0:
        raise InvalidArgument("the rewards do not differ; expected some that do")
    return NormalPosterior(estimate.value, float(np.sqrt(estimate.variance)))


def best_probabilities(posteriors: Sequence[Posterior]) -> Array:
    """The probability that each has the highest mean, by quadrature; float64 of [variants].

    Over the quantiles u of variant i it is the mean of the product of F_j(F_i^-1(u)), j not i.
    """
    if not posteriors:
        raise InvalidArgument("there are no variants; expected at least one")
    shares, weights = _quantiles()
    found = np.array(
        [weights @ _others(posteriors, index, shares) for index in range(len(posteriors))]
    )
    return np.asarray(found / found.sum())


def thompson_shares(posteriors: Sequence[Posterior], floor: float = 0.0) -> Array:
    """The shares of the traffic: the probabilities, but at least `floor` for every variant.

    Float64 of shape [variants]. Raises InvalidArgument when the floors leave nothing to share.
    """
    rest = 1 - floor * len(posteriors)
    if floor < 0 or rest < 0:
        raise InvalidArgument(
            f"the floor is {floor} for {len(posteriors)} variants; expected 0 to 1 by their number"
        )
    return np.asarray(floor + rest * best_probabilities(posteriors))


def _others(posteriors: Sequence[Posterior], index: int, shares: Array) -> Array:
    """The probability that all others are below variant `index`, at its quantiles."""
    values = posteriors[index].at(shares)
    below = [other.below(values) for place, other in enumerate(posteriors) if place != index]
    return np.asarray(np.prod([np.ones_like(values), *below], axis=0))


@lru_cache(maxsize=1)
def _quantiles() -> tuple[Array, Array]:
    nodes, weights = roots_legendre(NODES)
    return (1 + nodes) / 2, weights / 2
