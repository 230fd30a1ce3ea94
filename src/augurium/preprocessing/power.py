"""The exponent that makes a column most normal: the maximum of the likelihood."""

from collections.abc import Callable

import numpy as np

from augurium.core.tensors import Array
from augurium.preprocessing.fitted import BoxCox, YeoJohnson
from augurium.preprocessing.reference import mapped

GOLDEN = (5**0.5 - 1) / 2
RANGE = (-8.0, 8.0)
ROUNDS = 60


def fitted_exponent(method: str, values: Array, weights: Array) -> float:
    """The exponent of `yeo_johnson` or `box_cox` with the largest profile likelihood of a normal
    distribution, for numbers that stand for `weights` values each.

    I.-K. Yeo, R. A. Johnson, Biometrika 87 (2000), section 3.
    """
    if method == "yeo_johnson":
        growth = float(np.average(np.sign(values) * np.log1p(np.abs(values)), weights=weights))
    else:
        growth = float(np.average(np.log(values), weights=weights))

    def loss(exponent: float) -> float:
        step = YeoJohnson("", exponent) if method == "yeo_johnson" else BoxCox("", exponent)
        with np.errstate(all="ignore"):
            changed = mapped(step, values)
            mean = np.average(changed, weights=weights)
            variance = float(np.average((changed - mean) ** 2, weights=weights))
            found = 0.5 * np.log(variance) - (exponent - 1) * growth
        return float(found) if np.isfinite(found) else np.inf

    return _minimum(loss)


def _minimum(loss: Callable[[float], float]) -> float:
    """Golden section search: J. Kiefer, "Sequential Minimax Search for a Maximum", 1953."""
    low, high = RANGE
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(ROUNDS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = loss(right)
    return (low + high) / 2
