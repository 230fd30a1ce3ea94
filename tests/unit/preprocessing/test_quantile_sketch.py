"""The quantile sketch: exact while small, near enough and small while large."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.tensors import Array
from augurium.preprocessing.quantile_sketch import EXACT, K, QuantileSketch, quantiles

SHARES = np.linspace(0, 1, 101)


def sketch_of(values: Array, batch: int = 65_536) -> QuantileSketch:
    found = QuantileSketch()
    for start in range(0, len(values), batch):
        found.add(values[start : start + batch])
    return found


def worst_rank_error(found: QuantileSketch, values: Array) -> float:
    """The largest distance of a quantile's rank from the share it was asked for."""
    ordered = np.sort(values)
    at = quantiles(*found.items(), SHARES)
    low = np.searchsorted(ordered, at, "left") / len(ordered)
    high = np.searchsorted(ordered, at, "right") / len(ordered)
    return float(np.max(np.maximum(low - SHARES, SHARES - high)))


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_a_small_sketch_gives_the_quantiles_of_numpy(values: list[float]) -> None:
    found = quantiles(*sketch_of(np.array(values), 7).items(), SHARES)

    np.testing.assert_allclose(found, np.quantile(values, SHARES), rtol=1e-12, atol=1e-9)


def test_numbers_that_stand_for_several_count_as_often() -> None:
    found = quantiles(np.array([1.0, 5.0]), np.array([3, 2]), SHARES)

    np.testing.assert_allclose(found, np.quantile([1, 1, 1, 5, 5], SHARES))


def test_ranks_of_a_large_stream_are_within_the_stated_error() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.lognormal(size=1_000_000), np.arange(1_000_000.0), -np.arange(800_000.0)):
        found = sketch_of(values)

        assert not found.is_exact
        assert worst_rank_error(found, values) < 0.0007 * 1.5
        assert len(found.items()[0]) < 4 * K


def test_a_large_sketch_stands_for_every_value_it_has_seen() -> None:
    found = sketch_of(np.arange(EXACT * 3.0))

    assert int(found.items()[1].sum()) == EXACT * 3


def test_merged_sketches_know_what_both_have_seen() -> None:
    values = np.random.default_rng(2).normal(size=600_000)
    found = sketch_of(values[:400_000])
    found.merge(sketch_of(values[400_000:580_000]))
    found.merge(sketch_of(values[580_000:]))

    assert int(found.items()[1].sum()) == len(values)
    assert worst_rank_error(found, values) < 0.002
