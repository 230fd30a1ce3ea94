"""Sample ratio mismatch: whether as many units came to each variant as were to come.

Where they did not, the assignment or the counting is broken, and no result of the experiment can
be believed.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.special import chdtrc, gammaln, xlogy

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

CONCENTRATION = 10_000.0  # of the prior: how near to the plan a mismatch is looked for
TOLERANCE = 1e-9


class SampleRatio(msgspec.Struct, frozen=True):
    """A test that may be looked at after every block of counts.

    Lindon and Malek (2022): Anytime-valid inference for multinomial count data. `p_value` holds at
    all times together and never rises; a mismatch is believed below 0.001 or what was chosen.
    """

    shares: tuple[float, ...]
    prior: tuple[float, ...]
    log_mismatch: float = 0.0
    log_match: float = 0.0
    p_value: float = 1.0

    def updated(self, counts: Sequence[int]) -> "SampleRatio":
        """After `counts` more units of each variant. Raises InvalidArgument for bad counts."""
        block = _checked_counts(counts, self.shares)
        prior = np.array(self.prior)
        mismatch = self.log_mismatch + float(log_mismatch(block, prior))
        match = self.log_match + float(log_match(block, np.array(self.shares)))
        return SampleRatio(
            self.shares,
            tuple((prior + block).tolist()),
            mismatch,
            match,
            min(self.p_value, float(np.exp(min(0.0, match - mismatch)))),
        )


def sample_ratio(shares: Sequence[float], concentration: float = CONCENTRATION) -> SampleRatio:
    """The test before any unit came. Raises InvalidArgument unless the shares add up to one."""
    planned = _checked_shares(shares)
    return SampleRatio(tuple(planned.tolist()), tuple((concentration * planned).tolist()))


def sample_ratio_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The chi-square test, for one look; a mismatch is believed below 0.001."""
    planned = _checked_shares(shares)
    found = _checked_counts(counts, shares)
    expected = found.sum() * planned
    if not found.sum():
        return 1.0
    return float(chdtrc(len(found) - 1, np.sum((found - expected) ** 2 / expected)))


def log_mismatch(counts: Array, prior: Array) -> Array:
    """The log probability of counts under a Dirichlet-multinomial; [..., variants] to [...]."""
    n, a = counts.sum(axis=-1), prior.sum(axis=-1)
    orders = gammaln(n + 1) - gammaln(counts + 1).sum(axis=-1)
    moved = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1)
    found: Array = orders + moved + gammaln(a) - gammaln(a + n)
    return found


def log_match(counts: Array, shares: Array) -> Array:
    """The log probability of counts under a multinomial; [..., variants] to [...]."""
    orders = gammaln(counts.sum(axis=-1) + 1) - gammaln(counts + 1).sum(axis=-1)
    found: Array = orders + xlogy(counts, shares).sum(axis=-1)
    return found


def _checked_shares(shares: Sequence[float]) -> Array:
    planned = np.array(shares, np.float64)
    if len(planned) < 2 or not (planned > 0).all() or abs(planned.sum() - 1) > TOLERANCE:
        raise InvalidArgument(
            f"the shares are {list(shares)}; expected two or more positive numbers that add up to 1"
        )
    return planned


def _checked_counts(counts: Sequence[int], shares: Sequence[float]) -> Array:
    found = np.array(counts, np.float64)
    if found.shape != (len(shares),) or not (found >= 0).all():
        raise InvalidArgument(
            f"the counts are {list(counts)}; expected one of at least 0 for each of the "
            f"{len(shares)} variants"
        )
    return found
