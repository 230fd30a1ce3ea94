"""How the answers of a job are distributed, beside those to the training data if they are known."""

import itertools
import math
from collections.abc import Sequence

import msgspec
import numpy as np

from augurium.batch.partition_summary import OutputCounts
from augurium.statistics.bins import CategoricalBins, NumericBins
from augurium.statistics.number_histogram import ends, spread
from augurium.statistics.profiles import FeatureProfile

CELLS = 40
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# what is beyond these shares counts in the outermost cells
TAIL = 0.001
# numbers that are all above 0 and reach as many times their median are shown by their logarithms
LONG_TAIL = 30
# up to here a bin of the histogram is one whole number, and no more of them are shown one by one
LARGEST_CLASS = 256
MOST_CLASSES = 50


class Class(msgspec.Struct, frozen=True):
    """A text or whole number that was an answer, and how often; its share in training if known."""

    label: str
    rows: int
    training: float | None = None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one output, or of one number of it.

    `rows` answers, of which `nulls` were none, `nan` and `infinite` no finite numbers. Numbers have
    `mean`, `deviation` and extremes exactly, quantiles to 0.4 %, and a histogram: `counts[i]`
    between `bounds[i]` and `bounds[i + 1]`, the outermost with what is beyond, `logarithmic` where
    bounds have equal ratios; `training` are shares of the training data in the same cells, without
    what is beyond. Texts
    and whole numbers of few values are `classes`, the most frequent first.
    """

    name: str
    rows: int
    nulls: int = 0
    nan: int = 0
    infinite: int = 0
    mean: float | None = None
    deviation: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: dict[str, float] = {}
    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    logarithmic: bool = False
    training: tuple[float, ...] = ()
    classes: tuple[Class, ...] = ()
    other_classes: int = 0


def distribution_of(counts: OutputCounts, training: FeatureProfile | None) -> Distribution:
    """The distribution of what was counted."""
    known = Distribution(
        name=counts.name,
        rows=counts.n,
        nulls=counts.nulls,
        nan=counts.n_nan,
        infinite=counts.n_inf,
    )
    classes = counts.texts or _whole_numbers(counts)
    if classes:
        return _with_classes(known, classes, counts.other_texts, training)
    return _with_numbers(known, counts, training) if counts.numbers.counts else known


def _with_classes(
    known: Distribution, texts: dict[str, int], others: int, training: FeatureProfile | None
) -> Distribution:
    ranked = sorted(texts.items(), key=lambda entry: (-entry[1], entry[0]))
    shares = _category_shares(training)
    return msgspec.structs.replace(
        known,
        classes=tuple(
            Class(text, rows, shares.get(text, 0.0) if shares else None)
            for text, rows in ranked[:MOST_CLASSES]
        ),
        other_classes=others + sum(rows for _, rows in ranked[MOST_CLASSES:]),
    )


def _category_shares(training: FeatureProfile | None) -> dict[str, float]:
    if training is None or not isinstance(training.bins, CategoricalBins):
        return {}
    total = sum(training.counts) or 1
    return {label: count / total for label, count in training.labelled_counts()}


def _whole_numbers(counts: OutputCounts) -> dict[str, int]:
    """Whole numbers one by one, if they are few and small enough to have bins of their own."""
    places, low, high = counts.numbers.places, counts.min, counts.max
    if not counts.whole or len(places) > MOST_CLASSES or low is None or high is None:
        return {}
    if max(abs(low), abs(high)) >= LARGEST_CLASS:
        return {}
    # a bin of negative numbers has its number at the upper end
    numbers = (ends(place)[place < 0] for place in places)
    return {
        f"{number:.0f}": rows for number, rows in zip(numbers, counts.numbers.counts, strict=True)
    }


def _with_numbers(
    known: Distribution, counts: OutputCounts, training: FeatureProfile | None
) -> Distribution:
    bounds, logarithmic = _bounds(counts)
    return msgspec.structs.replace(
        known,
        mean=counts.moments.mean,
        deviation=math.sqrt(counts.moments.variance),
        min=counts.min,
        max=counts.max,
        quantiles={f"{share:g}": _quantile(counts, share) for share in QUANTILES},
        bounds=bounds,
        counts=tuple(round(count, 1) for count in counts.numbers.cells(bounds)),
        logarithmic=logarithmic,
        training=_training_shares(training, bounds),
    )


def _quantile(counts: OutputCounts, share: float) -> float:
    """Between the extremes, which the ends of bins may lie beyond."""
    found = counts.numbers.quantile(share)
    low, high = counts.min, counts.max
    if found is None or low is None or high is None:
        return math.nan
    return min(max(found, low), high)


def _bounds(counts: OutputCounts) -> tuple[tuple[float, ...], bool]:
    low, middle, high = (_quantile(counts, share) for share in (TAIL, 0.5, 1 - TAIL))
    logarithmic = low > 0 and high / middle > LONG_TAIL
    if high <= low:
        # one value: a cell around it
        width = abs(low) / 100 or 1.0
        return (low - width, low + width), False
    found = np.geomspace(low, high, CELLS + 1) if logarithmic else np.linspace(low, high, CELLS + 1)
    return tuple(found.tolist()), logarithmic


def _training_shares(training: FeatureProfile | None, bounds: Sequence[float]) -> tuple[float, ...]:
    """Those of the deciles, spread over the cells."""
    if training is None or not isinstance(training.bins, NumericBins) or not sum(training.counts):
        return ()
    edges = (training.bins.low, *training.bins.edges, training.bins.high)
    inside = training.counts[1:-1]
    # an outline shows where they crowd: what is beyond the bounds would heap up at their ends
    cells = spread(list(itertools.pairwise(edges)), inside, (-math.inf, *bounds, math.inf))[1:-1]
    return tuple(round(cell / (sum(inside) or 1), 6) for cell in cells)
