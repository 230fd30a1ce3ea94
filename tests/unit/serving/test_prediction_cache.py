"""Rows that are remembered: how long, how many, and never another version's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from augurium.core.clock import ManualClock
from augurium.core.tensors import Array
from augurium.serving.prediction_cache import CachedContent, PredictionCache
from augurium.serving.row_digests import RowDigests
from augurium.serving.run_parameters import ParameterizedRun

MIB = 1024 * 1024


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(1000)
    return clock


def outputs(value: float) -> list[Array]:
    return [np.array([[value]], np.float32)]


def value_of(cache: PredictionCache, key: bytes) -> float | None:
    row = cache.row(key)
    return None if row is None else float(row.array(0)[0, 0])


def test_a_row_says_when_it_was_computed(clock: ManualClock) -> None:
    cache = PredictionCache(MIB, clock.monotonic)
    cache.put_row(b"a", outputs(1))
    clock.advance(10)
    row = cache.row(b"a")
    assert row is not None
    assert (row.since, row.cache) == (1000, "hit")


def test_rows_and_whole_answers_are_kept_side_by_side(clock: ManualClock) -> None:
    cache = PredictionCache(MIB, clock.monotonic)
    cache.put_row(b"a", outputs(1))
    cache.put_content(b"b", CachedContent(b"{}", 1, 990.0))
    assert cache.content(b"b") == CachedContent(b"{}", 1, 990.0)
    assert (cache.content(b"a"), cache.row(b"b"), len(cache)) == (None, None, 2)


def test_what_is_kept_is_a_copy(clock: ManualClock) -> None:
    cache, array = PredictionCache(MIB, clock.monotonic), outputs(1)
    cache.put_row(b"a", array)
    array[0][:] = 2
    assert value_of(cache, b"a") == 1


def test_the_least_recently_used_leave_first_and_bytes_stay_within_the_limit(
    clock: ManualClock,
) -> None:
    cache = PredictionCache(8000, clock.monotonic)
    for key in (b"a", b"b", b"c"):
        cache.put_row(key, outputs(1))
    each = cache.used_bytes // 3
    cache.row(b"a")
    for number in range(8000 // each - 2):
        cache.put_row(bytes([number]), outputs(number))
    assert cache.used_bytes <= 8000
    assert cache.row(b"b") is None
    assert value_of(cache, b"a") == 1
    assert cache.evictions >= 1


def test_what_would_cost_many_others_is_not_kept(clock: ManualClock) -> None:
    cache = PredictionCache(80_000, clock.monotonic)
    cache.put_row(b"a", [np.zeros((1, 10_000), np.float32)])
    cache.put_content(b"b", CachedContent(bytes(10_000), 1, 0))
    assert (cache.row(b"a"), cache.content(b"b"), cache.used_bytes) == (None, None, 0)


def test_a_row_that_is_put_again_is_counted_once(clock: ManualClock) -> None:
    cache = PredictionCache(MIB, clock.monotonic)
    cache.put_row(b"a", outputs(1))
    once = cache.used_bytes
    cache.put_row(b"a", outputs(2))
    assert cache.used_bytes == once
    assert len(cache) == 1
    assert value_of(cache, b"a") == 2


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 60)), max_size=60))
def test_bytes_never_exceed_the_limit_nor_drift(steps: list[tuple[int, int]]) -> None:
    cache = PredictionCache(20_000)
    for key, size in steps:
        cache.put_row(bytes([key]), [np.zeros((1, size))])
        assert 0 <= cache.used_bytes <= 20_000
    for number in range(40):
        cache.put_content(bytes([100, number]), CachedContent(bytes(1600), 1, 0))
    # all of one size now: what was counted for the others is gone with them
    assert cache.used_bytes == len(cache) * 2000


def digest(inputs: list[Array], *identity: str | int) -> bytes:
    (found,) = RowDigests(*identity).of(inputs, 1)
    return found


def test_digests_tell_versions_inputs_and_values_apart() -> None:
    row = [np.array([[1.5, 2.5]], np.float32)]
    other = [np.array([[1.5, 2.25]], np.float32)]
    texts = [np.array([["ab", "c"]], np.object_)]
    shifted = [np.array([["a", "bc"]], np.object_)]
    raw = [np.array([[b"ab", "c"]], np.object_)]
    found = [
        digest(row, "fraud", 1), digest(row, "fraud", 2), digest(row, "ads", 1),
        digest(other, "fraud", 1), digest(texts, "fraud", 1), digest(shifted, "fraud", 1),
        digest(raw, "fraud", 1),
    ]  # fmt: skip
    assert len(set(found)) == len(found)
    assert {len(one) for one in found} == {16}
    assert digest(row, "fraud", 1) == digest([row[0].copy()], "fraud", 1)


def test_open_shapes_are_part_of_a_digest() -> None:
    digests = RowDigests("m", 1)
    wide, tall = np.zeros((1, 2, 3)), np.zeros((1, 3, 2))
    assert digests.of([wide], 1, ((2, 3),)) != digests.of([tall], 1, ((3, 2),))


SCALARS = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, -1.0]), st.sampled_from(["", "1"])
)
PARAMETERS = st.dictionaries(st.sampled_from("abc"), st.one_of(SCALARS, st.lists(SCALARS)))
NUMBERS: list[np.dtype[Any]] = [np.dtype(name) for name in ("i1", "u1", "f4")]
ARRAYS = st.one_of(
    arrays.arrays(
        st.sampled_from(NUMBERS),
        arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2),
        elements=st.sampled_from([0, 1]),
    ),
    arrays.arrays(
        np.object_,
        arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2),
        elements=st.sampled_from(["", "a", "aa", b"a", "1"]),
    ),
)
ASKED = st.tuples(st.lists(ARRAYS, min_size=1, max_size=2), PARAMETERS)


def form(asked: tuple[list[Array], dict[str, Any]]) -> object:
    """All that a model can tell requests apart by."""
    inputs, parameters = asked
    tensors = [(a.dtype.str, a.shape, [(type(v), v) for v in a.ravel().tolist()]) for a in inputs]
    return tensors, {name: _typed(value) for name, value in parameters.items()}


def _typed(value: Any) -> object:
    return [_typed(one) for one in value] if isinstance(value, list) else (type(value), value)


@settings(max_examples=500)
@given(ASKED, ASKED, st.booleans())
def test_wholes_share_a_digest_only_with_the_same_tensors_and_parameters(
    one: tuple[list[Array], dict[str, Any]],
    other: tuple[list[Array], dict[str, Any]],
    same: bool,
) -> None:
    class Runs:
        def run_with(self, inputs: Any, parameters: Any) -> list[Array]:
            return []

    def found(asked: tuple[list[Array], dict[str, Any]]) -> bytes:
        inputs, parameters = asked
        return RowDigests("m", 1).of_whole(inputs, ParameterizedRun(Runs(), object(), parameters))

    if same:
        other = [a.copy() for a in one[0]], dict(reversed(one[1].items()))
    assert (found(one) == found(other)) == (form(one) == form(other))


@settings(max_examples=300)
@given(PARAMETERS, PARAMETERS, st.integers(0, 1), st.integers(0, 1))
def test_rows_share_a_digest_only_with_the_same_parameters(
    one: dict[str, Any], other: dict[str, Any], value: int, other_value: int
) -> None:
    class Runs:
        def run_with(self, inputs: Any, parameters: Any) -> list[Array]:
            return []

    def found(parameters: dict[str, Any], value: int) -> bytes:
        key = ParameterizedRun(Runs(), None, parameters)
        return RowDigests("m", 1).of([np.array([[value]])], 1, key)[0]

    same = (form(([], one)), value) == (form(([], other)), other_value)
    assert (found(one, value) == found(other, other_value)) == same


@given(st.integers(1, 5), st.booleans())
def test_a_row_has_the_same_digest_alone_and_among_others(rows: int, strided: bool) -> None:
    numbers = np.arange(rows * 6, dtype=np.int64).reshape(rows, 6)
    matrix = np.asfortranarray(numbers) if strided else numbers
    texts = np.array([f"t{n}" for n in range(rows)], np.object_)
    digests = RowDigests("m", 1)
    together = digests.of([matrix, texts], rows)
    alone = [digests.of([matrix[n : n + 1], texts[n : n + 1]], 1)[0] for n in range(rows)]
    assert together == alone
    assert len(set(together)) == rows
