"""Profiles: counters that add up, whatever they were counted from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.statistics.bins import CategoricalBins, FeatureBins, NumericBins
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import (
    Profile,
    empty_profile,
    profile_of,
    read_profile,
    write_profile,
)
from augurium.statistics.values import Values

AGE = NumericBins(name="age", low=18.0, high=90.0, edges=(30.0, 45.0, 60.0))
ROOMS = CategoricalBins(name="rooms", is_text=False, categories=(1.0, 2.0, 3.0))
CITY = CategoricalBins(name="city", categories=("Rome", "Oslo"), others=(), others_known=True)
BINS: tuple[FeatureBins, ...] = (AGE, ROOMS, CITY)
NUMBERS = st.one_of(
    st.none(),
    st.floats(-200, 200),
    st.sampled_from([1.0, 2.0, 3.0, 18.0, 30.0, 90.0, math.nan, math.inf, -math.inf]),
)
TEXTS = st.one_of(st.none(), st.sampled_from(["Rome", "Oslo", "Lima", ""]))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, TEXTS), max_size=40)
EXTREMES = st.floats(allow_nan=False, allow_infinity=False)


def number_values(found: Sequence[float | None]) -> Values:
    content = np.array([math.nan if v is None else v for v in found], np.float64)
    return Values(content, np.array([v is None for v in found], bool))


def text_values(found: Sequence[Any]) -> Values:
    content = np.empty(len(found), np.object_)
    content[:] = found
    return Values(content)


def columns_of(rows: Sequence[tuple[Any, Any, Any]]) -> Mapping[str, Values]:
    ages, rooms, cities = zip(*rows, strict=True) if rows else ((), (), ())
    return {"age": number_values(ages), "rooms": number_values(rooms), "city": text_values(cities)}


def profiled(rows: Sequence[tuple[Any, Any, Any]]) -> Profile:
    profiler = Profiler(BINS)
    profiler.update(columns_of(rows))
    return profile_of(profiler.profiles(), rows=len(rows))


def assert_same(one: Profile, other: Profile) -> None:
    """Counters are equal; means and variances up to rounding."""
    assert (one.schema_hash, one.rows) == (other.schema_hash, other.rows)
    for a, b in zip(one.features, other.features, strict=True):
        nothing = {"moments": type(a.moments)()}
        assert msgspec.structs.replace(a, **nothing) == msgspec.structs.replace(b, **nothing)
        assert a.moments.n == b.moments.n
        assert a.moments.mean == pytest.approx(b.moments.mean, rel=1e-9, abs=1e-9)
        assert a.moments.m2 == pytest.approx(b.moments.m2, rel=1e-9, abs=1e-6)


@given(ROWS, st.integers(0, 40))
def test_parts_merge_to_the_whole(rows: list[tuple[Any, Any, Any]], cut: int) -> None:
    assert_same(profiled(rows[:cut]).merged(profiled(rows[cut:])), profiled(rows))


@given(ROWS, st.integers(0, 40))
def test_blocks_count_as_their_rows_together(rows: list[tuple[Any, Any, Any]], cut: int) -> None:
    profiler = Profiler(BINS)
    profiler.update(columns_of(rows[:cut]))
    profiler.update(columns_of(rows[cut:]))
    assert_same(profile_of(profiler.profiles(), rows=len(rows)), profiled(rows))


@given(ROWS, ROWS)
def test_the_order_of_two_parts_changes_nothing_at_all(
    some: list[tuple[Any, Any, Any]], others: list[tuple[Any, Any, Any]]
) -> None:
    one, other = profiled(some), profiled(others)
    assert one.merged(other) == other.merged(one)


@given(ROWS, ROWS, ROWS)
def test_the_order_of_many_parts_does_not_matter(
    a: list[tuple[Any, Any, Any]], b: list[tuple[Any, Any, Any]], c: list[tuple[Any, Any, Any]]
) -> None:
    one, two, three = profiled(a), profiled(b), profiled(c)
    assert_same(one.merged(two).merged(three), three.merged(one).merged(two))


@given(ROWS)
def test_the_profile_of_nothing_changes_nothing(rows: list[tuple[Any, Any, Any]]) -> None:
    profile = profiled(rows)
    assert profile.merged(empty_profile(profile)) == profile
    assert empty_profile(profile).merged(profile) == profile


@given(ROWS)
def test_json_and_msgpack_bring_back_the_same_profile(rows: list[tuple[Any, Any, Any]]) -> None:
    profile = profiled(rows)
    assert read_profile(write_profile(profile)) == profile
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(profile), type=Profile) == profile


@given(st.lists(EXTREMES, min_size=1, max_size=20))
@settings(max_examples=200)
def test_the_largest_floats_neither_overflow_nor_get_lost(numbers: list[float]) -> None:
    bins = NumericBins(name="x", low=min(numbers), high=max(numbers))
    profiler = Profiler([bins])
    for number in numbers:
        profiler.update({"x": number_values([number])})
    profile = profile_of(profiler.profiles(), rows=len(numbers))
    again = profile.merged(profile)
    assert profile.features[0].counts == (0, len(numbers), 0)
    assert read_profile(write_profile(again)) == again


@given(ROWS)
def test_every_value_is_counted_once(rows: list[tuple[Any, Any, Any]]) -> None:
    for feature in profiled(rows).features:
        gaps = feature.n_missing + feature.n_nan + feature.n_inf + feature.n_type_error
        assert feature.n == len(rows) == gaps + sum(feature.counts)


def test_every_kind_of_value_has_its_counter() -> None:
    gap = None
    profile = profiled(
        [
            (10.0, 1.0, "Rome"),
            (18.0, 2.0, "Rome"),
            (30.0, 3.0, "Oslo"),
            (90.0, 4.0, "Lima"),
            (91.0, math.nan, gap),
            (gap, gap, gap),
            (math.inf, 1.0, "Rome"),
            (math.nan, 1.0, "Rome"),
        ]
    )
    age, rooms, city = profile.features
    assert age.labelled_counts() == (
        ("below 18", 1),
        ("18 to 30", 1),
        ("30 to 45", 1),
        ("45 to 60", 0),
        ("60 to 90", 1),
        ("above 90", 1),
    )
    assert (age.n_missing, age.n_nan, age.n_inf, age.n_below, age.n_above) == (1, 1, 1, 1, 1)
    assert (age.min, age.max, age.moments.n) == (10.0, 91.0, 5)
    assert age.moments.mean == pytest.approx(47.8)
    assert age.moments.variance == pytest.approx(np.var([10, 18, 30, 90, 91], ddof=1))
    assert (rooms.counts, rooms.n_new_category, rooms.n_nan) == ((3, 1, 1, 0, 1), 1, 1)
    assert (city.counts, city.n_missing, city.n_new_category) == ((4, 1, 0, 1), 2, 1)


def test_values_of_a_wrong_type_are_counted_as_such() -> None:
    profiler = Profiler(BINS)
    profiler.update(
        {
            "age": text_values(["old", None, 31, True]),
            "rooms": text_values(["two", 2, 2.0, None]),
            "city": Values(np.array([1.0, 2.0, math.nan, 3.0]), np.array([0, 0, 1, 0], bool)),
        }
    )
    age, rooms, city = profiler.profiles()
    assert (age.n, age.n_type_error, age.n_missing, age.n_below, age.n_nan) == (4, 1, 1, 1, 0)
    assert (rooms.n_type_error, rooms.n_missing, rooms.counts[1]) == (1, 1, 2)
    assert (city.n, city.n_type_error, city.n_missing, sum(city.counts)) == (4, 3, 1, 0)


def test_profiles_of_different_bins_do_not_merge() -> None:
    other = Profiler([msgspec.structs.replace(AGE, edges=(30.0, 45.0)), ROOMS, CITY])
    with pytest.raises(InvalidArgument, match="different bins cannot be merged"):
        profiled([]).merged(profile_of(other.profiles()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((b'"low":18.0', b'"low":17.0'), "its hash is not that of its bins"),
        ((b'"counts":[0,', b'"counts":['), "more or fewer counters"),
        ((b'"schema_hash"', b'"hash"'), "cannot be read"),
        ((b"{", b"["), "cannot be read"),
    ],
)
def test_a_damaged_profile_is_refused(change: tuple[bytes, bytes], says: str) -> None:
    content = write_profile(profiled([]))
    assert change[0] in content
    with pytest.raises(InvalidArgument, match=says):
        read_profile(content.replace(*change, 1))
