"""Several p-values at once: what they are worth together.

Holm (1979) for primary metrics: the chance of any false discovery stays below alpha. Benjamini and
Hochberg (1995) for the many secondary ones: the share of false discoveries among all does.
"""

from collections.abc import Sequence

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array


def holm(p_values: Sequence[float]) -> Array:
    """The adjusted p-values in the same order, to be held against alpha; float64 of [tests]."""
    p = _checked(p_values)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _in_order(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> Array:
    """The adjusted p-values in the same order, to be held against the share; float64 of [tests]."""
    p = _checked(p_values)
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _in_order(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _in_order(sorted_values: Array, order: Array) -> Array:
    found = np.empty(len(order))
    found[order] = np.minimum(sorted_values, 1.0)
    return found


def _checked(p_values: Sequence[float]) -> Array:
    p = np.array(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidArgument(f"the p-values are {list(p_values)}; expected numbers from 0 to 1")
    return p
