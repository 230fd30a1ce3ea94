"""How far counts in the same bins are apart, and how far by chance.

PSI has half a count added to every bin of both sides, so that empty bins cost little and nothing is
infinite; other smoothing gives other numbers. Bins that are empty on both sides are left out. Under
no change, PSI divided by (1/n + 1/m) is chi-squared with one degree less than there are bins
(Yurdakul 2018, Statistical Properties of the Population Stability Index), and the divergence of
Jensen and Shannon, in bits, is PSI divided by 8 ln 2.
"""

import math
from collections.abc import Sequence

import numpy as np

from augurium.core.tensors import Array

BY_CHANCE = 0.001


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """The population stability index; 0 when either side is empty."""
    before, now = _occupied(reference, current)
    if not before.sum() or not now.sum():
        return 0.0
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (now + 0.5) / (now.sum() + 0.5 * len(now))
    return float(np.sum((p - q) * np.log(p / q)))


def js_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """The square root of the Jensen-Shannon divergence in bits, 0 to 1; 0 when a side is empty."""
    before, now = _occupied(reference, current)
    if not before.sum() or not now.sum():
        return 0.0
    p, q = before / before.sum(), now / now.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(max(divergence, 0.0))


def chance_psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """The PSI that samples of these sizes reach once in a thousand times without any change."""
    # here, not above: SciPy is large, and a process of a job begins without it
    from scipy.special import chdtri

    before, now = _occupied(reference, current)
    if not before.sum() or not now.sum() or len(before) < 2:
        return 0.0
    noise = 1 / float(before.sum()) + 1 / float(now.sum())
    return noise * float(chdtri(len(before) - 1, BY_CHANCE))


def chance_js(reference: Sequence[int], current: Sequence[int]) -> float:
    """The Jensen-Shannon distance that is reached once in a thousand times without any change."""
    return math.sqrt(chance_psi(reference, current) / (8 * math.log(2)))


def _occupied(reference: Sequence[int], current: Sequence[int]) -> tuple[Array, Array]:
    before, now = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    kept = (before > 0) | (now > 0)
    return before[kept], now[kept]


def _relative_entropy(p: Array, q: Array) -> float:
    present = p > 0
    return float(np.sum(p[present] * np.log2(p[present] / q[present])))
