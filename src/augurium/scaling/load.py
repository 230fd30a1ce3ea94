"""Loads to replay: a trace from a file, or a shape."""

import csv
import math
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from augurium.core.errors import InvalidArgument

MOST_POINTS = 1_000_000
# the share of its duration that passes before a step or a spike comes
BEFORE = 0.25
SPIKE = 0.05


class LoadPoint(NamedTuple):
    """From second `t` on, `rate` requests arrive per second."""

    t: float
    rate: float


def _step(share: float) -> float:
    return 0.0 if share < BEFORE else 1.0


def _spike(share: float) -> float:
    return 1.0 if BEFORE <= share < BEFORE + SPIKE else 0.0


def _diurnal(share: float) -> float:
    """One day: least at its beginning, most in its middle."""
    return (1 - math.cos(2 * math.pi * share)) / 2


def _constant(_: float) -> float:
    return 1.0


SHAPES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "step": _step,
    "spike": _spike,
    "diurnal": _diurnal,
}


class Shape(NamedTuple):
    """A load between `base` and `peak` requests per second over `duration_s`, as `name` says.

    `noise` is the standard deviation as a share of the rate; `seed` makes it the same every time.
    """

    name: str
    base: float
    peak: float
    duration_s: float
    noise: float = 0.0
    seed: int = 0
    step_s: float = 1.0


def generate(shape: Shape) -> list[LoadPoint]:
    """The points of a shape, one per `step_s`. Raises InvalidArgument."""
    if shape.name not in SHAPES:
        raise InvalidArgument(
            f"'{shape.name}' is no shape of a load; expected one of {', '.join(SHAPES)}"
        )
    count = math.ceil(shape.duration_s / shape.step_s)
    if not 0 < count <= MOST_POINTS or not 0 <= shape.base <= shape.peak:
        raise InvalidArgument(
            f"a load needs 0 <= base <= peak and 1 to {MOST_POINTS} seconds, got base"
            f" {shape.base:g}, peak {shape.peak:g} and {shape.duration_s:g} s"
        )
    chance, form = random.Random(shape.seed), SHAPES[shape.name]  # noqa: S311 - a simulation
    points = []
    for step in range(count):
        rate = shape.base + (shape.peak - shape.base) * form(step / count)
        factor = chance.gauss(1.0, shape.noise) if shape.noise else 1.0
        points.append(LoadPoint(step * shape.step_s, max(0.0, rate * factor)))
    return points


def read_trace(lines: Iterable[str], name: str = "trace") -> list[LoadPoint]:
    """A CSV of two columns, seconds and requests per second, in order; a header may come first.

    Raises InvalidArgument with the line that is wrong.
    """
    points: list[LoadPoint] = []
    for row in (reader := csv.reader(lines)):
        if not row or (reader.line_num == 1 and not _is_number(row[0])):
            continue
        where = f"{name}, line {reader.line_num}"
        if len(row) != 2 or not all(map(_is_number, row)):
            raise InvalidArgument(f"{where}: expected SECONDS,REQUESTS_PER_SECOND, got {row}")
        point = LoadPoint(float(row[0]), float(row[1]))
        if point.rate < 0 or (points and point.t <= points[-1].t):
            raise InvalidArgument(f"{where}: rates are not negative and seconds grow, got {row}")
        points.append(point)
        if len(points) > MOST_POINTS:
            raise InvalidArgument(f"{where}: at most {MOST_POINTS} points can be replayed")
    if len(points) < 2:
        raise InvalidArgument(f"{name} has {len(points)} points; at least 2 are needed")
    return points


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
