"""Group-sequential tests: bounds for a test that is looked at several times before its planned end.

Lan and DeMets (1983): Discrete sequential boundaries for clinical trials. Armitage, McPherson and
Rowe (1969) give the recursive integration. With drift `theta` the score at time t, the fraction of
the planned units, is N(theta t, t); what has not crossed a bound keeps a density, which the next
look widens.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from scipy.special import ndtr, ndtri, roots_legendre

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

MAX_LOOKS = 400
LEAST_STEP = 1e-4  # a look that adds less of the plan can neither stop nor spend
FAR = 8.5  # standard deviations beyond which a density is nothing
NODES = (64, 128, 256, 512, 1024, 2048)
NODES_PER_DEVIATION = 3.0  # of the next step; 8 digits of a bound
LARGEST_BOUND = 20.0
DRIFTS = (0.0, 100.0)


class Spending(StrEnum):
    """How much of alpha is spent by when: little at first, or about the same at every look."""

    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"

    def spent(self, time: float, alpha: float) -> float:
        """The two-sided error spent by `time`, the fraction of the planned units; at most alpha."""
        if time <= 0:
            return 0.0
        if time >= 1:
            return alpha
        if self is Spending.POCOCK:
            return alpha * math.log(1 + (math.e - 1) * time)
        return float(4 * ndtr(ndtri(alpha / 4) / math.sqrt(time)))


class _Walk(NamedTuple):
    """The score at a look: masses at nodes of the look before it, and how it has moved since.

    The score at `time` is that at `origin` and a normal increment; beyond `limit` it has stopped.
    """

    origin: float
    nodes: Array
    masses: Array
    time: float
    limit: float

    def to(self, time: float, drift: float = 0.0) -> Self:
        """The walk that goes on to `time`, from the nodes of a grid fine enough for that step.

        Its limit is still open.
        """
        if self.time == 0:
            return self._replace(time=time)
        reach = FAR * math.sqrt(self.time)
        low = max(-self.limit, drift * self.time - reach)
        high = min(self.limit, drift * self.time + reach)
        if high <= low:
            return self._replace(origin=self.time, masses=np.zeros_like(self.masses), time=time)
        nodes, weights = _grid(low, high, math.sqrt(time - self.time))
        step = self.time - self.origin
        distances = nodes[:, np.newaxis] - (self.nodes + drift * step)
        density = np.exp(-0.5 / step * distances**2) @ self.masses / math.sqrt(2 * math.pi * step)
        return self._replace(origin=self.time, nodes=nodes, masses=weights * density, time=time)

    def beyond(self, limit: float, drift: float = 0.0) -> float:
        """The probability that the score is beyond `limit` on either side, and never was before."""
        step = self.time - self.origin
        deviation, expected = math.sqrt(step), self.nodes + drift * step
        tails = ndtr((expected - limit) / deviation) + ndtr((-limit - expected) / deviation)
        return float(tails @ self.masses)


START = _Walk(0.0, np.zeros(1), np.ones(1), 0.0, 0.0)


class _Looked(NamedTuple):
    bounds: tuple[float, ...] = ()
    spent: float = 0.0
    walk: _Walk = START


def bounds(
    looks: Sequence[float],
    planned: float,
    alpha: float = 0.05,
    spending: Spending = Spending.OBRIEN_FLEMING,
    ended: bool = False,
) -> tuple[float, ...]:
    """The two-sided bounds on |z| at `looks`, the units seen at each, of `planned` units.

    The bound of a look depends on the looks up to it only, so those of earlier looks never change.
    Alpha is spent on what was seen of the plan, at most all of it. Beyond the plan nothing is left:
    the bound is infinite, and so it is at a look that adds less than a ten-thousandth of the plan.
    `ended` says that the last look is the declared last one: it spends what is left though fewer
    units came than planned. Raises InvalidArgument for looks that do not ascend.
    """
    check_alpha(alpha)
    if not (math.isfinite(planned) and planned > 0):
        raise InvalidArgument(f"the planned units are {planned}; expected a positive number")
    times = _checked(look / planned for look in looks)
    if ended and times:
        return _next(_after(times[:-1], alpha, spending), times[-1], alpha).bounds
    return _after(times, alpha, spending).bounds


def bounds_of_spending(units: Sequence[float], spent: Sequence[float]) -> tuple[float, ...]:
    """The two-sided bounds on |z| at looks that have seen `units`, where `spent` is gone by then.

    For alpha that is spent by the calendar, say, while information comes as it comes: only the
    ratios of the units matter. The bound of a look depends on the looks up to it only. It is
    infinite where nothing is spent, and where a look adds less than a ten-thousandth of the first.
    """
    looked = _Looked()
    times = _checked(each / units[0] for each in units)
    for time, gone in zip(times, spent, strict=True):
        looked = _next(looked, time, gone)
    return looked.bounds


def crossing_probabilities(
    times: Sequence[float], limits: Sequence[float], drift: float = 0.0
) -> Array:
    """The probability of crossing `limits`, on |z| at `times`, for the first time at each look.

    `times` are fractions of the planned units, `drift` is the expected z at time 1: 0 gives the
    type I error, another the power. A look that adds less than a ten-thousandth counts for nothing.
    Float64 of shape [looks].
    """
    found, walk = [], START
    for time, limit in zip(_checked(times), limits, strict=True):
        if time - walk.time < LEAST_STEP:
            found.append(0.0)
            continue
        score = limit * math.sqrt(time)
        walk = walk.to(time, drift)._replace(limit=score)
        found.append(walk.beyond(score, drift))
    return np.array(found)


def inflation(
    times: Sequence[float], limits: Sequence[float], alpha: float = 0.05, power: float = 0.8
) -> float:
    """How many times the units of a two-sided test with one look are needed for the same power."""
    check_alpha(alpha)
    drift = root(
        lambda drift: power - float(crossing_probabilities(times, limits, drift).sum()), *DRIFTS
    )
    return (drift / float(ndtri(1 - alpha / 2) + ndtri(power))) ** 2


def check_alpha(alpha: float) -> None:
    """Raises InvalidArgument unless it lies between 0 and 1."""
    if not 0 < alpha < 1:
        raise InvalidArgument(f"alpha is {alpha}; expected a number between 0 and 1, such as 0.05")


def root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is zero, by bisection, to nine digits."""
    while high - low > 1e-9 * max(1.0, high):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@lru_cache(maxsize=1024)
def _after(times: tuple[float, ...], alpha: float, spending: Spending) -> _Looked:
    """What is known after looks at `times`; each look is integrated once."""
    if not times:
        return _Looked()
    before = _after(times[:-1], alpha, spending)
    return _next(before, times[-1], spending.spent(times[-1], alpha))


def _next(before: _Looked, time: float, spent: float) -> _Looked:
    """One look more, after which `spent` is gone."""
    share = spent - before.spent
    if share <= 0 or time - before.walk.time < LEAST_STEP:
        return before._replace(bounds=(*before.bounds, math.inf))
    walk, deviation = before.walk.to(time), math.sqrt(time)
    bound = root(lambda z: walk.beyond(z * deviation) - share, 0.0, LARGEST_BOUND)
    return _Looked((*before.bounds, bound), spent, walk._replace(limit=bound * deviation))


def _checked(times: Iterable[float]) -> tuple[float, ...]:
    found = tuple(times)
    if len(found) > MAX_LOOKS:
        raise InvalidArgument(f"{len(found)} looks are more than {MAX_LOOKS}; look less often")
    if any(not math.isfinite(time) or time <= 0 for time in found):
        raise InvalidArgument("a look has seen no units; expected a positive number at each")
    if any(later < earlier for earlier, later in pairwise(found)):
        raise InvalidArgument("looks have seen fewer units than those before; expected more")
    return found


def _grid(low: float, high: float, deviation: float) -> tuple[Array, Array]:
    """Nodes between the ends and their weights, fine enough for a step of that deviation."""
    wanted = NODES_PER_DEVIATION * (high - low) / deviation
    nodes, weights = _legendre(next((count for count in NODES if count >= wanted), NODES[-1]))
    half = (high - low) / 2
    return low + half * (1 + nodes), half * weights


@lru_cache(maxsize=len(NODES))
def _legendre(count: int) -> tuple[Array, Array]:
    nodes, weights = roots_legendre(count)
    return nodes, weights
