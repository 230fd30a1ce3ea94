"""Intervals of shares and of their differences that are good for few and for no events, too."""

import math
from statistics import NormalDist

from augurium.core.errors import InvalidArgument

# SciPy's takes a third of a second to load, which who wants an interval need not wait for
_NORMAL = NormalDist()


def wilson(events: float, n: float, alpha: float = 0.05) -> tuple[float, float]:
    """The two-sided score interval of a share (Wilson 1927); 0 to 1 where `n` is 0.

    Raises InvalidArgument for more events than `n`.
    """
    if not 0 <= events <= n:
        raise InvalidArgument(f"{events} events among {n}; expected 0 to {n}")
    if n == 0:
        return 0.0, 1.0
    z = -_NORMAL.inv_cdf(alpha / 2)
    share, spread = events / n, z * z / n
    middle = share + spread / 2
    width = z * math.sqrt((share * (1 - share) + spread / 4) / n)
    low, high = (middle - width) / (1 + spread), (middle + width) / (1 + spread)
    # what rounding leaves of a limit that is 0 or 1
    return (low if events else 0.0), (high if events < n else 1.0)


def newcombe(
    events: float, n: float, other_events: float, other_n: float, alpha: float = 0.05
) -> tuple[float, float]:
    """The interval of the first share less the other, from the score intervals of both.

    Newcombe (1998): Interval estimation for the difference between independent proportions, method
    10. -1 to 1 where one of them is of nothing.
    """
    low, high = wilson(events, n, alpha)
    other_low, other_high = wilson(other_events, other_n, alpha)
    if not n or not other_n:
        return -1.0, 1.0
    share, other = events / n, other_events / other_n
    below = math.hypot(share - low, other_high - other)
    above = math.hypot(high - share, other - other_low)
    return share - other - below, share - other + above
