"""Steps on numbers as operators on a whole matrix: columns that go the same way go together.

A column that lacks a step others have takes part with numbers that change nothing: it subtracts 0,
divides by 1, has no limits, fills in NaN for NaN.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from augurium.preprocessing import fitted as f
from augurium.preprocessing.graph_writer import ML, GraphWriter
from augurium.preprocessing.reference import LARGE, SPLITTER

INFINITY = float("inf")
NEUTRAL: dict[type, Any] = {
    f.Fill: f.Fill("", float("nan")),
    f.Scale: f.Scale("", 0.0, 1.0),
    f.Limit: f.Limit("", None, None),
}
Kinds = tuple[Any, ...]


def kinds_of(steps: Sequence[f.AnyStep]) -> Kinds:
    """What kinds of steps these are: columns of the same kinds can go together."""
    return tuple(map(_kind, steps))


def aligned(steps: Sequence[f.AnyStep], kinds: Kinds) -> list[f.AnyStep] | None:
    """The steps with neutral ones between, so that they are of these kinds; None if they cannot."""
    found: list[f.AnyStep] = []
    remaining = list(steps)
    for kind in kinds:
        if remaining and _kind(remaining[0]) == kind:
            found.append(remaining.pop(0))
        elif kind in NEUTRAL:
            found.append(NEUTRAL[kind])
        else:
            return None
    return None if remaining else found


def write_fills(writer: GraphWriter, matrix: str, fills: Sequence[Any]) -> str:
    """Fills a matrix of float32 in one operator."""
    return writer.node(
        "Imputer",
        [matrix],
        ML,
        imputed_value_floats=[float(np.float32(step.value)) for step in fills],
        replaced_value_float=float("nan"),
    )


def write_steps(writer: GraphWriter, matrix: str, columns: Sequence[Sequence[f.AnyStep]]) -> str:
    """Writes the aligned steps of every column of a matrix of doubles."""
    for steps in zip(*columns, strict=True):
        matrix = _write(writer, matrix, steps)
    return matrix


def _kind(step: f.AnyStep) -> Any:
    match step:
        case f.YeoJohnson(exponent=exponent):
            # logarithms on one side
            return (f.YeoJohnson, exponent if exponent in (0.0, 2.0) else None)
        case f.BoxCox(exponent=exponent):
            return (f.BoxCox, exponent == 0.0)
        case f.Logarithm(plus_one=plus_one):
            return (f.Logarithm, plus_one)
    return type(step)


def _write(w: GraphWriter, x: str, steps: tuple[Any, ...]) -> str:
    match steps[0]:
        case f.Fill():
            fills = w.doubles([float(np.float32(step.value)) for step in steps])
            return w.node("Where", [w.node("IsNaN", [x]), fills, x])
        case f.Scale():
            return _scaled(w, x, [s.subtract for s in steps], [s.divide for s in steps])
        case f.Limit():
            return _limited(w, x, steps)
        case f.Logarithm(plus_one=plus_one):
            return _rounded(w, _log_of_one_plus(w, x) if plus_one else w.node("Log", [x]))
        case f.BoxCox():
            negative = w.node("Less", [x, w.doubles([0.0])])
            known = w.node("Where", [negative, w.doubles([np.nan]), x])
            return _rounded(w, _powers(w, known, [step.exponent for step in steps]))
        case f.YeoJohnson():
            return _rounded(w, _yeo_johnson(w, x, [step.exponent for step in steps]))
        case f.Buckets():
            return _buckets(w, x, [step.edges for step in steps])
    raise TypeError(f"{type(steps[0]).__name__} is not a step on numbers")


def _rounded(w: GraphWriter, x: str) -> str:
    """See `reference.rounded`."""
    shifted = w.node("Mul", [x, w.doubles([SPLITTER])])
    split = w.node("Sub", [shifted, w.node("Sub", [shifted, x])])
    small = w.node("Less", [w.node("Abs", [x]), w.doubles([LARGE])])
    return w.node("Where", [small, split, x])


def _scaled(w: GraphWriter, x: str, subtract: list[float], divide: list[float]) -> str:
    if any(subtract):
        x = w.node("Sub", [x, w.doubles(subtract)])
    return w.node("Div", [x, w.doubles(divide)]) if any(d != 1 for d in divide) else x


def _limited(w: GraphWriter, x: str, steps: tuple[Any, ...]) -> str:
    low = [-INFINITY if step.low is None else step.low for step in steps]
    high = [INFINITY if step.high is None else step.high for step in steps]
    if max(low) > -INFINITY:
        x = w.node("Max", [x, w.doubles(low)])
    return w.node("Min", [x, w.doubles(high)]) if min(high) < INFINITY else x


def _log_of_one_plus(w: GraphWriter, x: str) -> str:
    """ln(1 + x), also where x is so small that 1 + x loses most of it.

    Source: N. J. Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 1.14.1:
    what the addition lost is lost alike from the logarithm and from what it is divided by.
    """
    one = w.doubles([1.0])
    total = w.node("Add", [x, one])
    log, added = w.node("Log", [total]), w.node("Sub", [total, one])
    exact = w.node("Div", [w.node("Mul", [x, log]), added])
    nothing = w.node("Equal", [added, w.doubles([0.0])])
    small = w.node("Less", [w.node("Abs", [x]), w.doubles([0.5])])
    return w.node("Where", [small, w.node("Where", [nothing, x, exact]), log])


def _powers(w: GraphWriter, x: str, exponents: list[float]) -> str:
    """(x**e - 1) / e, or ln(x) where all exponents are 0."""
    if not any(exponents):
        return w.node("Log", [x])
    power = w.node("Pow", [x, w.doubles(exponents)])
    return w.node("Div", [w.node("Sub", [power, w.doubles([1.0])]), w.doubles(exponents)])


def _yeo_johnson(w: GraphWriter, x: str, exponents: list[float]) -> str:
    zero, one = w.doubles([0.0]), w.doubles([1.0])
    positive = w.node("Add", [w.node("Max", [x, zero]), one])
    negative = w.node("Add", [w.node("Max", [w.node("Neg", [x]), zero]), one])
    other = [2.0 - exponent for exponent in exponents]
    return w.node("Sub", [_powers(w, positive, exponents), _powers(w, negative, other)])


def _buckets(w: GraphWriter, x: str, edges: list[tuple[float, ...]]) -> str:
    most = max(map(len, edges))
    # nothing is at least NaN
    padded = np.full((len(edges), most), np.nan)
    for row, values in enumerate(edges):
        padded[row, : len(values)] = values
    axis = w.constant([2], np.int64)
    column = w.node("Unsqueeze", [w.floats(x), axis])
    reached = w.node("GreaterOrEqual", [column, w.constant(padded, np.float32)])
    counts = w.node("ReduceSum", [w.wide(reached), axis], keepdims=0)
    return w.node("Where", [w.node("IsNaN", [x]), w.doubles([np.nan]), counts])
