"""Sums of experiments: those of parts are those of the whole, in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.unit_buckets import BUCKETS, unit_buckets
from augurium.traffic.variant_sums import (
    VALUE_BINS,
    BucketHistogram,
    ExperimentSums,
    FeedbackCounts,
    MetricSums,
    PhaseSums,
    VariantSums,
    bucket_histogram,
    merged,
)

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["v1", "v2"]), st.integers(0, BUCKETS - 1), st.integers(1, 1_000_000)
    ),
    max_size=30,
)


def variant(buckets: Array, values: Array) -> VariantSums:
    cells = buckets * VALUE_BINS.count + VALUE_BINS.index(values)
    return VariantSums(
        len(values),
        2 * len(values),
        {
            "revenue": MetricSums(buckets=unit_buckets(buckets, values)),
            "p90": MetricSums(histogram=bucket_histogram(cells, np.ones(len(cells)))),
        },
    )


def sums_of(rows: list[tuple[str, int, int]]) -> ExperimentSums:
    variants = {}
    for label in ("v1", "v2"):
        table = np.array([row[1:] for row in rows if row[0] == label], np.int64).reshape(-1, 2)
        variants[label] = variant(table[:, 0], table[:, 1].astype(np.float64))
    phase = PhaseSums({"v1": 0.5, "v2": 0.5}, variants)
    return ExperimentSums((phase,), len(rows), FeedbackCounts(joined=len(rows), outside=1))


@given(ROWS, ROWS, ROWS)
def test_sums_of_parts_are_those_of_the_whole_in_any_order(
    first: list[tuple[str, int, int]],
    second: list[tuple[str, int, int]],
    third: list[tuple[str, int, int]],
) -> None:
    parts = [sums_of(rows) for rows in (first, second, third)]

    found = merged(parts)

    assert found == merged(reversed(parts))
    whole = sums_of([*first, *second, *third])
    assert found.phases == whole.phases
    assert found.mixed_units == whole.mixed_units
    assert found.feedback == FeedbackCounts(joined=whole.mixed_units, outside=3)


def test_a_histogram_comes_back_as_a_table() -> None:
    found = bucket_histogram(np.array([5, 0, 5]), np.array([1, 2, 3])).table()

    assert found.shape == (BUCKETS, VALUE_BINS.count)
    assert (found[0, 0], found[0, 5], found.sum()) == (2, 4, 6)


def test_a_variant_of_which_a_part_knows_nothing_merges() -> None:
    one = sums_of([("v1", 3, 7)]).phases[0]
    other = PhaseSums(one.shares, {"v2": one.of("v1")})

    found = one.merged(other)

    assert (found.of("v1").units, found.of("v2").units, found.units) == (1, 1, 2)


def test_sums_that_do_not_fit_are_refused() -> None:
    one = sums_of([])
    with pytest.raises(InvalidArgument, match="shares"):
        one.phases[0].merged(PhaseSums({"v1": 0.9, "v2": 0.1}, {}))
    with pytest.raises(InvalidArgument, match="phases"):
        one.merged(ExperimentSums(()))
    with pytest.raises(InvalidArgument, match="buckets"):
        BucketHistogram(buckets=3).merged(BucketHistogram(buckets=2))
