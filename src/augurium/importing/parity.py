"""How far two answers to the same rows are apart."""

from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array, is_float
from augurium.importing.job import OutputParity

# between two answers of the same model
SELF_RTOL = 1e-3
SELF_ATOL = 1e-5


class Tolerance(msgspec.Struct, frozen=True):
    """Two numbers agree when |found - expected| <= atol + rtol * |expected|."""

    rtol: float = 0.0
    atol: float = 0.0


class Mismatch(Unprocessable):
    """The model runs, and its answers are not the framework's."""


class Comparison(msgspec.Struct):
    """Agreement of one output, and which rows disagree."""

    parity: OutputParity
    differing: Any


def compare(expected: Array, found: Array, uncertain: Array, tolerance: Tolerance) -> Comparison:
    """Compares row by row; numbers with the tolerance, NaN positions and all else exactly.

    `expected` and `found` have the same shape, `uncertain` is a mask of rows that do not count.
    """
    if is_float(expected.dtype):
        errors = _errors(expected, found)
        sizes = np.abs(np.nan_to_num(expected.astype(np.float64), posinf=0, neginf=0))
        allowed = tolerance.atol + tolerance.rtol * sizes
        differs = errors > allowed
    else:
        errors = np.zeros(expected.shape)
        differs = expected != found
    rows = len(expected)
    differing = differs.reshape(rows, -1).any(axis=1) & ~uncertain
    compared = errors.reshape(rows, -1)[~uncertain]
    parity = OutputParity(
        rows=rows,
        different=int(differing.sum()),
        uncertain=int(uncertain.sum()),
        max_abs_error=_largest(compared),
        max_rel_error=_largest(
            _relative(errors, expected, tolerance.atol).reshape(rows, -1)[~uncertain]
        ),
        rtol=tolerance.rtol,
        atol=tolerance.atol,
    )
    return Comparison(parity, np.flatnonzero(differing))


def compare_with_itself(expected: Array, found: Array) -> Comparison:
    """Compares two answers of the same model, as far as both go."""
    tolerance = Tolerance(SELF_RTOL, SELF_ATOL)
    count = min(len(expected), len(found))
    return compare(expected[:count], found[:count], np.zeros(count, bool), tolerance)


def _errors(expected: Array, found: Array) -> Array:
    """Absolute differences; infinite where only one is NaN or the infinities differ."""
    wide, other = expected.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(other - wide)
    errors[(wide == other) | (np.isnan(wide) & np.isnan(other))] = 0.0
    return np.nan_to_num(errors, nan=np.inf, posinf=np.inf)


def _relative(errors: Array, expected: Array, atol: float) -> Array:
    """Errors as a share of the expected numbers, where those are larger than what is allowed."""
    if not is_float(expected.dtype):
        return errors
    sizes = np.abs(expected.astype(np.float64))
    known = (sizes > atol) & np.isfinite(sizes)
    return np.divide(errors, sizes, out=np.zeros_like(errors), where=known)


def _largest(errors: Array) -> float:
    """The largest error; infinity is written as the largest float, because JSON has no infinity."""
    return float(min(errors.max(initial=0.0), np.finfo(np.float64).max))
