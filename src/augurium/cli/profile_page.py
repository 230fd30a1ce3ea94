"""The page of a reference profile: a line per feature, with a small histogram."""

from typing import TYPE_CHECKING

import typer

from augurium.cli.output import print_fields, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from augurium.client.profiles import FeatureProfile, Profile

COLUMNS = ("name", "missing", "min", "mean", "deviation", "max", "distribution")
BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
CELLS = 16
SHOWN_CATEGORIES = 4


def print_profile(name: str, profile: "Profile") -> None:
    """The profile of the version `name` on standard output."""
    facts: list[tuple[str, object]] = [("version", name), ("rows", profile.rows)]
    facts += [("answered rows", profile.output_rows)] if profile.outputs else []
    print_fields([*facts, *(("note", note) for note in profile.notes)])
    for title, parts in (("Features", profile.features), ("Outputs", profile.outputs)):
        if parts:
            typer.echo(f"\n{title}")
            print_table(COLUMNS, map(_row, parts))


def histogram(bounds: "Sequence[float]", counts: "Sequence[int]") -> str:
    """Bars of equal width from the first bound to the last; a blank where there is nothing.

    The values of a bin are taken to be spread evenly over it, so that bins of equal counts, as
    deciles are, show where the values crowd.
    """
    low, width = bounds[0], (bounds[-1] - bounds[0]) / CELLS
    if not width > 0:
        return BARS[-1] if any(counts) else ""
    masses = [0.0] * CELLS
    for start, end, count in zip(bounds, bounds[1:], counts, strict=False):
        for cell in range(CELLS):
            left, right = low + cell * width, low + (cell + 1) * width
            if end > start:
                masses[cell] += count * max(0.0, min(end, right) - max(start, left)) / (end - start)
        if end <= start:
            masses[min(CELLS - 1, int((start - low) / width))] += count
    return "".join(_bar(mass, max(masses)) for mass in masses)


def _bar(mass: float, most: float) -> str:
    return BARS[min(len(BARS) - 1, int(mass * len(BARS) / most))] if mass > 0 else " "


def _share(count: int, total: int) -> str:
    return "<1%" if 0 < count * 200 < total else f"{count / total:.0%}"


def _row(feature: "FeatureProfile") -> tuple[object, ...]:
    numeric = feature.moments.n > 0
    return (
        feature.bins.name,
        _missing(feature),
        feature.min,
        feature.moments.mean if numeric else None,
        feature.moments.deviation if numeric else None,
        feature.max,
        _distribution(feature),
    )


def _missing(feature: "FeatureProfile") -> str:
    count = feature.n_missing + feature.n_nan
    return f"{count / feature.n:.1%}" if count else "-"


def _distribution(feature: "FeatureProfile") -> str:
    if feature.bins.type == "numeric":
        bins = feature.bins
        return histogram((bins.low, *bins.edges, bins.high), feature.counts[1:-1])
    present = [(label, count) for label, count in feature.labelled_counts if count]
    present.sort(key=lambda entry: -entry[1])
    total = sum(feature.counts) or 1
    shown = [f"{label} {_share(count, total)}" for label, count in present[:SHOWN_CATEGORIES]]
    more = len(present) - SHOWN_CATEGORIES
    return ", ".join([*shown, f"{more} more"] if more > 0 else shown)
