"""The bins of features, found in one pass over the reference.

Numbers get the unique deciles inside their range, or one bin per value where there are at most 20;
texts the 50 most frequent that are short enough. Quantiles come from a uniform sample, see
`row_sample.py` for the error; extremes, numbers of few values and, up to 10 000 different ones,
counts of texts are exact.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from augurium.core.tensors import Array
from augurium.statistics.bins import (
    MAX_CATEGORY_LENGTH,
    MAX_OTHERS,
    TOP_CATEGORIES,
    CategoricalBins,
    FeatureBins,
    NumericBins,
    category_hash,
)
from augurium.statistics.frequent_texts import FrequentTexts
from augurium.statistics.row_sample import RowSample
from augurium.statistics.values import Values, as_numbers

BINS = 10
MAX_LEVELS = 20


class Feature(msgspec.Struct, frozen=True):
    """A feature to find bins for. `few_as_categories`: numbers of few values are categories."""

    name: str
    is_text: bool = False
    few_as_categories: bool = True


class ReferenceBins:
    """Looks at a table block by block; memory stays bounded."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self._numbers = [feature.name for feature in features if not feature.is_text]
        self._texts = {feature.name: FrequentTexts() for feature in features if feature.is_text}
        self._long: dict[str, set[int]] = {name: set() for name in self._texts}
        self._levels: dict[str, set[float]] = {name: set() for name in self._numbers}
        self._low = np.full(len(self._numbers), np.inf)
        self._high = np.full(len(self._numbers), -np.inf)
        self._sample = RowSample(len(self._numbers))

    @property
    def rank_error(self) -> float:
        """How far off the deciles may be, as a share of the rows."""
        return self._sample.rank_error

    def observe(self, columns: Mapping[str, Values]) -> None:
        """Takes a block: a column of equal length for every feature."""
        for name, texts in self._texts.items():
            counts = Counter(columns[name].content.tolist())
            present = [(text, n) for text, n in counts.items() if isinstance(text, str)]
            texts.observe((text, n) for text, n in present if len(text) <= MAX_CATEGORY_LENGTH)
            self._note_long(name, (text for text, _ in present if len(text) > MAX_CATEGORY_LENGTH))
        finite = [_finite(columns[name]) for name in self._numbers]
        for index, (name, numbers) in enumerate(zip(self._numbers, finite, strict=True)):
            self._low[index] = np.fmin(self._low[index], np.fmin.reduce(numbers, initial=np.inf))
            self._high[index] = np.fmax(self._high[index], np.fmax.reduce(numbers, initial=-np.inf))
            self._note_levels(name, numbers)
        self._sample.observe(finite)

    def bins(self) -> tuple[FeatureBins, ...]:
        """The bins of all features, in their order."""
        sample = dict(zip(self._numbers, self._sample.rows(), strict=True))
        positions = {name: index for index, name in enumerate(self._numbers)}
        return tuple(
            self._text_bins(feature.name)
            if feature.is_text
            else self._number_bins(feature, sample[feature.name], positions[feature.name])
            for feature in self._features
        )

    def _note_long(self, name: str, texts: Iterable[str]) -> None:
        """Remembers hashes, at most one more than fits."""
        known = self._long[name]
        for text in texts:
            if len(known) > MAX_OTHERS:
                return
            known.add(category_hash(text))

    def _note_levels(self, name: str, numbers: Array) -> None:
        levels = self._levels[name]
        if len(levels) > MAX_LEVELS:
            return
        # most columns show more levels than that in their first values
        for part in (numbers[: 4 * MAX_LEVELS], numbers[4 * MAX_LEVELS :]):
            found = np.unique(part)
            levels.update(found[~np.isnan(found)][: MAX_LEVELS + 1].tolist())
            if len(levels) > MAX_LEVELS:
                return

    def _number_bins(self, feature: Feature, sample: Array, index: int) -> FeatureBins:
        levels = self._levels[feature.name]
        if not levels or (feature.few_as_categories and len(levels) <= MAX_LEVELS):
            categories = tuple(sorted(levels)) if len(levels) <= MAX_LEVELS else ()
            return CategoricalBins(name=feature.name, is_text=False, categories=categories)
        low, high = float(self._low[index]), float(self._high[index])
        return NumericBins(name=feature.name, low=low, high=high, edges=_deciles(sample, low, high))

    def _text_bins(self, name: str) -> CategoricalBins:
        texts = self._texts[name]
        ranked = [text for text, _ in texts.most_common()]
        rare, long = ranked[TOP_CATEGORIES:], self._long[name]
        known = texts.exact and len(rare) + len(long) <= MAX_OTHERS
        hashes = tuple(sorted({*map(category_hash, rare), *long})) if known else ()
        return CategoricalBins(
            name=name,
            categories=tuple(ranked[:TOP_CATEGORIES]),
            others=hashes,
            others_known=known,
        )


def _finite(values: Values) -> Array:
    numbers = as_numbers(values).content
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _deciles(sample: Array, low: float, high: float) -> tuple[float, ...]:
    present = np.sort(sample[~np.isnan(sample)])
    if not len(present):
        return ()
    # values that occur, so that halves of huge numbers cannot overflow between them
    steps = np.arange(1, BINS) / BINS
    found = np.unique(np.quantile(present, steps, method="higher"))
    return tuple(found[(found > low) & (found <= high)].tolist())
