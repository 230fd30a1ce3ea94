"""Panels of a picture in SVG: an axis of time that all share, and steps, lines, bands and marks.

Colours follow the reader's: light or dark. Nothing in it runs and nothing is fetched.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from augurium.core.drawing import COLOURS, DARK_COLOURS, cut, markup, round_step

WIDTH, LEFT, RIGHT, TOP = 960, 76, 24, 92
PANEL, GAP, FOOT = 130, 52, 40
STYLE = """
svg { font: 12px system-ui, sans-serif; background: #ffffff; }
text { fill: #1f2328; } .dim { fill: #59636e; } .title { font-size: 16px; font-weight: 600; }
.ground { fill: #ffffff; } .grid { stroke: #d1d9e0; fill: none; } .mark { stroke: #59636e;
stroke-dasharray: 3 3; } .bound { stroke: #59636e; fill: none; stroke-dasharray: 6 3; }
.band { opacity: 0.2; stroke: none; } .line { fill: none; stroke-width: 1.8; }
@media (prefers-color-scheme: dark) { svg { background: #0d1117; } text { fill: #f0f6fc; }
.dim { fill: #9198a1; } .ground { fill: #0d1117; } .grid { stroke: #3d444d; }
.mark, .bound { stroke: #9198a1; } .band { opacity: 0.35; } }
"""
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
TICKS = 6
MARK_WIDTH = 16
MOST_TEXT = 132
GRID = 4
ROUNDING = 1e-9

Values = Sequence[tuple[float, float]]
Intervals = Sequence[tuple[float, float, float]]


class Curve(NamedTuple):
    """One arm in a panel: values at times, and bands of low and high around them."""

    name: str
    colour: str
    values: Values
    bands: Intervals = ()
    steps: bool = False
    dots: bool = False


class Panel(NamedTuple):
    """A panel: its heading, how a value is written, and what is in it. `bounds` are dashed.

    What is above `top`, if one is given, is cut off.
    """

    heading: str
    written: Callable[[float], str]
    curves: Sequence[Curve]
    bounds: Sequence[Values] = ()
    from_zero: bool = True
    top: float | None = None


class Mark(NamedTuple):
    """Something that happened; its number stands in the picture and its text below."""

    at: float
    text: str


def picture(
    title: tuple[str, str], panels: Sequence[Panel], marks: Sequence[Mark], seconds: float
) -> str:
    """The whole picture; times are seconds from the left edge, of `seconds` in all.

    The title has a line below it.
    """
    bottom = TOP + len(panels) * (PANEL + GAP)
    height = bottom + FOOT + 18 * len(marks)
    span = max(seconds, 1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}" role="img">',
        f"<title>{markup(title[0])}</title><style>{STYLE}{_dark()}</style>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<text class="title" x="{LEFT}" y="26">{markup(title[0])}</text>',
        f'<text class="dim" x="{LEFT}" y="44">{markup(cut(title[1], MOST_TEXT))}</text>',
    ]
    for place, panel in enumerate(panels):
        parts += _panel(panel, TOP + place * (PANEL + GAP), span)
    parts += _times(span, bottom - GAP)
    parts += _marks(marks, span, len(panels))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float, span: float) -> Iterable[str]:
    low, high, step = _range(panel)
    axis = _Axis(top, low, high, span)
    yield f'<text x="{LEFT}" y="{top - 10}">{markup(panel.heading)}</text>'
    yield from _legend(panel.curves, top - 10)
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        y = axis.y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        label = markup(panel.written(value))
        yield f'<text class="dim" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    for bound in panel.bounds:
        yield f'<path class="bound" d="{_path(bound, axis)}"/>'
    for curve in panel.curves:
        yield from _curve(curve, axis)


class _Axis(NamedTuple):
    """Where values and times are in a panel."""

    top: float
    low: float
    high: float
    span: float

    def x(self, at: float) -> float:
        return _x(at, self.span)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.top + PANEL * (1 - min(max(share, 0.0), 1.0))


def _curve(curve: Curve, axis: _Axis) -> Iterable[str]:
    colour = curve.colour
    if curve.bands:
        upper = [f"{axis.x(at):.1f} {axis.y(high):.1f}" for at, _, high in curve.bands]
        lower = [f"{axis.x(at):.1f} {axis.y(low):.1f}" for at, low, _ in reversed(curve.bands)]
        yield f'<path class="band" fill="{colour}" d="M{"L".join([*upper, *lower])}Z"/>'
    if curve.values:
        path = _steps(curve.values, axis) if curve.steps else _path(curve.values, axis)
        yield f'<path class="line" stroke="{colour}" d="{path}"/>'
    if curve.dots:
        for at, value in curve.values:
            yield f'<circle fill="{colour}" cx="{axis.x(at):.1f}" cy="{axis.y(value):.1f}" r="3"/>'


def _path(values: Values, axis: _Axis) -> str:
    return "M" + "L".join(f"{axis.x(at):.1f} {axis.y(value):.1f}" for at, value in values)


def _steps(values: Values, axis: _Axis) -> str:
    (at, value), *rest = values
    return f"M{axis.x(at):.1f} {axis.y(value):.1f}" + "".join(
        f"H{axis.x(at):.1f}V{axis.y(value):.1f}" for at, value in rest
    )


def _legend(curves: Sequence[Curve], y: float) -> Iterable[str]:
    x = float(WIDTH - RIGHT)
    for curve in reversed(curves):
        name = markup(curve.name[:24])
        x -= 7.0 * len(curve.name[:24])
        yield f'<text x="{x:.0f}" y="{y}">{name}</text>'
        x -= 22
        yield f'<rect x="{x:.0f}" y="{y - 9}" width="16" height="9" fill="{curve.colour}"/>'
        x -= 16


def _range(panel: Panel) -> tuple[float, float, float]:
    """The least and the greatest value that are shown, and the step of the grid: round numbers."""
    found = [value for curve in panel.curves for _, value in curve.values]
    found += [side for curve in panel.curves for _, *sides in curve.bands for side in sides]
    found += [value for bound in panel.bounds for _, value in bound]
    finite = [value for value in found if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if panel.top is not None:
        high = min(high, panel.top)
    if panel.from_zero:
        low = min(low, 0.0)
    if high <= low:
        high = low + 1.0
    step = round_step((high - low) / GRID)
    return (
        step * math.floor(low / step + ROUNDING),
        step * math.ceil(high / step - ROUNDING),
        step,
    )


def _times(span: float, y: float) -> Iterable[str]:
    size, unit = next((size, unit) for size, unit in UNITS if span >= 2 * size or size == 1.0)
    step = round_step(span / size / TICKS)
    for number in range(int(span / size / step) + 1):
        at = number * step * size
        label = f"{number * step:g} {unit}"
        anchor = "start" if number == 0 else "middle"
        yield (
            f'<text class="dim" x="{_x(at, span):.1f}" y="{y + 18}" text-anchor="{anchor}">'
            f"{label}</text>"
        )


def _marks(marks: Sequence[Mark], span: float, panels: int) -> Iterable[str]:
    bottom, label = TOP + panels * (PANEL + GAP), -math.inf
    tops = [TOP + place * (PANEL + GAP) for place in range(panels)]
    for number, mark in enumerate(marks, 1):
        x = _x(mark.at, span)
        # what happened at once stands beside each other
        label = min(max(x, label + MARK_WIDTH), WIDTH - MARK_WIDTH / 2)
        # not through headings
        lines = "".join(f"M{x:.1f} {top}v{PANEL}" for top in tops)
        yield f'<path class="mark" d="{lines}"/>'
        yield f'<text x="{label:.1f}" y="{TOP - 28}" text-anchor="middle">{number}</text>'
        y = bottom + 18 * number - 4
        yield f'<text x="{LEFT}" y="{y}">{number}. {markup(cut(mark.text, MOST_TEXT))}</text>'


def _x(at: float, span: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at / span, 0.0), 1.0)


def _dark() -> str:
    """Arms in the colours of a dark ground."""
    pairs = list(zip(COLOURS, DARK_COLOURS, strict=True))
    lines = "".join(f'[stroke="{one}"] {{ stroke: {other}; }} ' for one, other in pairs)
    areas = "".join(f'[fill="{one}"] {{ fill: {other}; }} ' for one, other in pairs)
    return f"@media (prefers-color-scheme: dark) {{ {lines}{areas}}}\n"
