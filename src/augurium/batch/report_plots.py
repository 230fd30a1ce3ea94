"""The plots of a report in SVG: bars with labels, a histogram, small overlaid histograms.

Colours are those of the page (`report_page.py`), by class; each plot says in words what it shows.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from augurium.batch.distributions import Distribution
from augurium.batch.drift import Bar
from augurium.batch.number_texts import share
from augurium.core.drawing import cut, markup, round_step

WIDTH = 640
ROW, LABEL, VALUE = 22, 190, 130
MOST_LABEL = 25
PLOT_HEIGHT, PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_FOOT = 190, 52, 12, 22, 24
SMALL_WIDTH, SMALL_HEIGHT = 150, 40
TICKS = 6


class Length(NamedTuple):
    """A bar: its label, its length, what is written beside it, and a length to mark on it."""

    label: str
    value: float
    text: str
    mark: float | None = None


def bars(said: str, lengths: Sequence[Length], most: float = 0.0) -> str:
    """Bars below each other; over the whole width goes the longest, or `most` if that is more."""
    most = max([most, *(max(one.value, one.mark or 0.0) for one in lengths)]) or 1.0
    height = ROW * len(lengths)
    return _svg(said, WIDTH, height, _bars(lengths, most))


def shares(said: str, parts: Sequence[tuple[str, str, int]]) -> str:
    """One bar of parts: class, name and size of each."""
    return _svg(said, WIDTH, 16, _shares(parts))


def histogram(said: str, found: Distribution) -> str:
    """The histogram of an output; the outline is that of the training data."""
    height = PLOT_TOP + PLOT_HEIGHT + PLOT_FOOT
    return _svg(said, WIDTH, height, _histogram(found))


def small_histogram(said: str, found: Sequence[Bar]) -> str:
    """Shares of bins side by side: the job filled, the training data as an outline."""
    most = max((max(bar.training, bar.job) for bar in found), default=0.0) or 1.0
    width = SMALL_WIDTH / max(len(found), 1)
    scale = (SMALL_HEIGHT - 2) / most
    steps = f"M0 {SMALL_HEIGHT}"
    parts = []
    for place, bar in enumerate(found):
        x, job, training = place * width, bar.job * scale, bar.training * scale
        said_of = f"{bar.label}: {share(bar.job)}, {share(bar.training)} in training"
        parts.append(
            f'<rect class="job" x="{x + 0.5:.1f}" y="{SMALL_HEIGHT - job:.1f}"'
            f' width="{width - 1:.1f}" height="{job:.1f}"><title>{markup(said_of)}</title></rect>'
        )
        steps += f"V{SMALL_HEIGHT - training:.1f}H{x + width:.1f}"
    outline = f'<path class="training" d="{steps}V{SMALL_HEIGHT}"/>'
    return _svg(said, SMALL_WIDTH, SMALL_HEIGHT, [*parts, outline], "small")


def _svg(said: str, width: float, height: float, parts: Iterable[str], kind: str = "plot") -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{markup(said)}">{"".join(parts)}</svg>'
    )


def _bars(lengths: Sequence[Length], most: float) -> Iterator[str]:
    room = WIDTH - LABEL - VALUE
    for place, one in enumerate(lengths):
        y = place * ROW
        width = max(room * one.value / most, 1.0 if one.value > 0 else 0.0)
        yield (
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">'
            f"{markup(cut(one.label, MOST_LABEL))}<title>{markup(one.label)}</title></text>"
        )
        yield f'<rect class="job" x="{LABEL}" y="{y + 4}" width="{width:.1f}" height="14" rx="2"/>'
        if one.mark is not None:
            x = LABEL + room * one.mark / most
            yield f'<path class="training" d="M{x:.1f} {y + 1}v20"/>'
            width = max(width, x - LABEL)
        yield (
            f'<text class="dim" x="{LABEL + width + 8:.1f}" y="{y + 15}">{markup(one.text)}</text>'
        )


def _shares(parts: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    total, x = sum(size for _, _, size in parts) or 1.0, 0.0
    for kind, name, size in parts:
        width = WIDTH * size / total
        if size:
            # what there is is to be seen, however little
            shown = max(width, 2.0)
            yield (
                f'<rect class="{kind}" x="{min(x, WIDTH - shown):.1f}" y="0" width="{shown:.1f}"'
                f' height="16"><title>{markup(name)}</title></rect>'
            )
        x += width


def _histogram(found: Distribution) -> Iterator[str]:
    total = sum(found.counts) or 1.0
    job = [count / total for count in found.counts]
    most = max([*job, *found.training]) or 1.0
    axis = _Axis(found.bounds, found.logarithmic, most)
    yield from axis.shares()
    for place, part in enumerate(job):
        x, end = axis.cell(place), axis.cell(place + 1)
        low, high = found.bounds[place], found.bounds[place + 1]
        said = f"{low:.4g} to {high:.4g}: {share(part)}"
        yield (
            f'<rect class="job" x="{x + 0.5:.1f}" y="{axis.y(part):.1f}"'
            f' width="{max(end - x - 1, 0.5):.1f}" height="{axis.bottom - axis.y(part):.1f}">'
            f"<title>{said}</title></rect>"
        )
    if found.training:
        steps = "".join(
            f"V{axis.y(part):.1f}H{axis.cell(place + 1):.1f}"
            for place, part in enumerate(found.training)
        )
        yield f'<path class="training" d="M{axis.cell(0):.1f} {axis.bottom}{steps}"/>'
    yield from axis.values()


class _Axis:
    """Where values and shares are in a histogram."""

    def __init__(self, bounds: Sequence[float], logarithmic: bool, most: float) -> None:
        self._low, self._high = bounds[0], bounds[-1]
        self._cells = len(bounds) - 1
        self._logarithmic = logarithmic
        self._step = round_step(most / 4)
        self._most = self._step * math.ceil(most / self._step - 1e-9)
        self.bottom = PLOT_TOP + PLOT_HEIGHT

    def cell(self, place: int) -> float:
        return PLOT_LEFT + (WIDTH - PLOT_LEFT - PLOT_RIGHT) * place / self._cells

    def y(self, part: float) -> float:
        return self.bottom - PLOT_HEIGHT * part / self._most

    def shares(self) -> Iterator[str]:
        for number in range(round(self._most / self._step) + 1):
            part = number * self._step
            y = self.y(part)
            yield f'<path class="grid" d="M{PLOT_LEFT} {y:.1f}H{WIDTH - PLOT_RIGHT}"/>'
            yield (
                f'<text class="dim" x="{PLOT_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                f"{100 * part:.3g} %</text>"
            )

    def values(self) -> Iterator[str]:
        for value in self._ticks():
            x = PLOT_LEFT + (WIDTH - PLOT_LEFT - PLOT_RIGHT) * self._part(value)
            yield f'<path class="tick" d="M{x:.1f} {self.bottom}v5"/>'
            yield (
                f'<text class="dim" x="{x:.1f}" y="{self.bottom + 19}" text-anchor="middle">'
                f"{round(value, 12):.4g}</text>"
            )

    def _part(self, value: float) -> float:
        if self._logarithmic:
            return math.log(value / self._low) / math.log(self._high / self._low)
        return (value - self._low) / (self._high - self._low)

    def _ticks(self) -> Iterator[float]:
        if self._logarithmic:
            powers = range(math.ceil(math.log10(self._low)), math.floor(math.log10(self._high)) + 1)
            every = max(1, math.ceil(len(powers) / TICKS))
            yield from (10.0**power for power in powers[::every])
            return
        step = round_step((self._high - self._low) / TICKS)
        first = math.ceil(self._low / step - 1e-9)
        last = math.floor(self._high / step + 1e-9)
        yield from (number * step for number in range(first, last + 1))
