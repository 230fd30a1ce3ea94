"""Counting features block by block into their profiles."""

from collections.abc import Mapping, Sequence

import numpy as np

from augurium.statistics.bins import CategoricalBins, FeatureBins, NumericBins
from augurium.statistics.category_counter import NumberCategoryCounter, TextCounter
from augurium.statistics.numeric_counter import NumericCounter
from augurium.statistics.profiles import FeatureProfile
from augurium.statistics.values import Values, as_numbers


class Profiler:
    """The counters of features. Not safe to share between threads."""

    def __init__(self, bins: Sequence[FeatureBins]) -> None:
        self._names = [each.name for each in bins]
        numeric = [each for each in bins if isinstance(each, NumericBins)]
        self._numeric = [each.name for each in numeric]
        self._numbers = NumericCounter(numeric)
        self._categories = {
            each.name: _counter(each) for each in bins if isinstance(each, CategoricalBins)
        }

    def update(self, columns: Mapping[str, Values]) -> None:
        """Counts a block: a column of equal length for every feature."""
        if self._numeric:
            found = [as_numbers(columns[name]) for name in self._numeric]
            self._numbers.update(
                np.stack([numbers.content for numbers in found]),
                np.array([numbers.missing for numbers in found]),
                np.array([numbers.type_errors for numbers in found]),
            )
        for name, counter in self._categories.items():
            counter.update(columns[name])

    def profiles(self) -> tuple[FeatureProfile, ...]:
        """What was counted so far, in the order of the features."""
        found = {profile.bins.name: profile for profile in self._numbers.profiles()}
        found |= {name: counter.profile() for name, counter in self._categories.items()}
        return tuple(found[name] for name in self._names)


def _counter(bins: CategoricalBins) -> NumberCategoryCounter | TextCounter:
    return TextCounter(bins) if bins.is_text else NumberCategoryCounter(bins)
