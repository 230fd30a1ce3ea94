"""The bins found in a reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.tensors import Array
from augurium.statistics.bins import CategoricalBins, FeatureBins, NumericBins
from augurium.statistics.frequent_texts import CAPACITY, FrequentTexts
from augurium.statistics.profiler import Profiler
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.row_sample import MAX_ROWS, RowSample
from augurium.statistics.values import Values


def texts(found: list[str | None]) -> Values:
    content = np.empty(len(found), np.object_)
    content[:] = found
    return Values(content)


def bins_of(values: Values, blocks: int = 1, **feature: bool) -> FeatureBins:
    finder = ReferenceBins([Feature("x", **feature)])
    for part in np.array_split(values.content, blocks):
        finder.observe({"x": Values(part)})
    return finder.bins()[0]


def test_numbers_are_cut_at_their_deciles() -> None:
    found = bins_of(Values(np.arange(1001.0)), blocks=7)
    assert found == NumericBins(
        name="x", low=0.0, high=1000.0, edges=tuple(100.0 * i for i in range(1, 10))
    )


def test_deciles_that_coincide_count_once_and_the_lowest_value_is_no_edge() -> None:
    values = np.concatenate([np.zeros(60), np.arange(1.0, 41.0)])
    found = bins_of(Values(values))
    assert isinstance(found, NumericBins)
    assert found.edges == (10.0, 20.0, 30.0) or len(set(found.edges)) == len(found.edges)
    assert all(0.0 < edge <= 40.0 for edge in found.edges)


def test_numbers_of_few_values_are_categories() -> None:
    values = np.tile(np.arange(20.0), 100)
    assert bins_of(Values(values), blocks=3) == CategoricalBins(
        name="x", is_text=False, categories=tuple(np.arange(20.0).tolist())
    )
    more = np.tile(np.arange(21.0), 100)
    assert isinstance(bins_of(Values(more), blocks=3), NumericBins)


def test_a_score_stays_a_number_however_few_values_it_has() -> None:
    found = bins_of(Values(np.array([0.25, 0.75] * 50)), few_as_categories=False)
    assert isinstance(found, NumericBins)
    assert (found.low, found.high) == (0.25, 0.75)


def test_texts_keep_the_fifty_most_frequent_and_know_the_others() -> None:
    found = [f"c{i:03}" for i in range(80) for _ in range(100 - i)]
    bins = bins_of(texts([*found, None]), is_text=True)
    assert isinstance(bins, CategoricalBins)
    assert bins.categories == tuple(f"c{i:03}" for i in range(50))
    profiler = Profiler([bins])
    profiler.update({"x": texts(["c000", "c079", "c080", None])})
    (profile,) = profiler.profiles()
    labelled = dict(profile.labelled_counts())
    assert (labelled["c000"], labelled["__other__"], labelled["__new__"]) == (1, 1, 1)


def test_rare_texts_are_kept_as_hashes_only() -> None:
    bins = bins_of(texts([f"c{i}" for i in range(100)]), is_text=True)
    assert isinstance(bins, CategoricalBins)
    assert len(bins.others) == 50
    assert all(isinstance(each, int) for each in bins.others)


def test_where_texts_are_too_many_to_know_none_counts_as_new() -> None:
    bins = bins_of(texts([f"name {i}" for i in range(30_000)]), blocks=4, is_text=True)
    assert isinstance(bins, CategoricalBins)
    assert not bins.others_known
    profiler = Profiler([bins])
    profiler.update({"x": texts(["never seen"])})
    assert profiler.profiles()[0].n_new_category == 0


def test_long_texts_are_known_by_their_hash_and_never_kept() -> None:
    long = "x" * 1000
    bins = bins_of(texts(["a", "b", *[long] * 8]), is_text=True)
    assert isinstance(bins, CategoricalBins)
    assert (bins.categories, len(bins.others)) == (("a", "b"), 1)
    profiler = Profiler([bins])
    profiler.update({"x": texts([long, long + "y", "a"])})
    (profile,) = profiler.profiles()
    assert dict(profile.labelled_counts()) == {"a": 1, "b": 0, "__other__": 1, "__new__": 1}


def test_where_long_texts_are_too_many_to_know_none_counts_as_new() -> None:
    bins = bins_of(texts([f"{i}" * 300 for i in range(1000, 4000)]), is_text=True)
    assert isinstance(bins, CategoricalBins)
    assert (bins.categories, bins.others, bins.others_known) == ((), (), False)


def test_a_feature_without_values_has_bins_all_the_same() -> None:
    for values in (np.full(10, np.nan), np.full(10, np.inf)):
        assert bins_of(Values(values)) == CategoricalBins(name="x", is_text=False)
    assert bins_of(texts([None] * 5), is_text=True) == CategoricalBins(name="x")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60))
def test_no_number_of_the_reference_lies_outside_of_its_bins(numbers: list[float]) -> None:
    values = Values(np.array(numbers))
    profiler = Profiler([bins_of(values)])
    profiler.update({"x": values})
    (profile,) = profiler.profiles()
    assert (profile.n_below, profile.n_above, profile.n_new_category) == (0, 0, 0)


@given(st.lists(st.integers(-3, 13).map(float), min_size=1, max_size=60))
def test_a_value_on_an_edge_belongs_to_the_bin_above_it(numbers: list[float]) -> None:
    bins = NumericBins(name="x", low=0.0, high=10.0, edges=(1.0, 2.5, 4.0, 10.0))
    profiler = Profiler([bins])
    profiler.update({"x": Values(np.array(numbers))})
    (profile,) = profiler.profiles()
    inside = np.array([number for number in numbers if 0 <= number <= 10])
    expected = np.bincount(np.searchsorted(bins.edges, inside, side="right"), minlength=5)
    below, above = sum(n < 0 for n in numbers), sum(n > 10 for n in numbers)
    assert profile.counts == (below, *expected.tolist(), above)


def test_the_deciles_of_a_long_stream_are_within_the_stated_error() -> None:
    rng = np.random.default_rng(5)
    finder = ReferenceBins([Feature("x")])
    parts: list[Array] = [rng.lognormal(size=50_000) + position for position in range(10)]
    for part in parts:
        finder.observe({"x": Values(part)})
    (found,) = finder.bins()
    assert isinstance(found, NumericBins)
    everything = np.sort(np.concatenate(parts))
    ranks = np.searchsorted(everything, found.edges) / len(everything)
    assert 0 < finder.rank_error == pytest.approx(0.0076, abs=1e-4)
    assert np.abs(ranks - np.arange(1, 10) / 10).max() <= finder.rank_error


def test_a_sample_holds_all_rows_while_they_fit_and_its_size_afterwards() -> None:
    sample = RowSample(2)
    for start in range(0, MAX_ROWS, 1000):
        rows = np.arange(start, min(start + 1000, MAX_ROWS), dtype=np.float64)
        sample.observe([rows, -rows])
    assert sample.rank_error == 0
    assert sorted(sample.rows()[0]) == list(range(MAX_ROWS))
    for _ in range(5):
        sample.observe([np.full(MAX_ROWS, -1.0), np.full(MAX_ROWS, 1.0)])
    first, second = sample.rows()
    assert len(first) == MAX_ROWS
    assert (first == -second).all()
    assert 0.1 < (first >= 0).mean() < 0.24


def test_frequent_texts_survive_a_flood_of_rare_ones() -> None:
    found = FrequentTexts()
    for block in range(20):
        found.observe([("often", 50), *((f"{block} {i}", 1) for i in range(CAPACITY // 4))])
    assert not found.exact
    assert found.most_common()[0][0] == "often"
    assert len(found.most_common()) <= CAPACITY
