import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.scaling.threads import thread_shares


@pytest.mark.parametrize(
    ("cores", "weights", "shares"),
    [
        (8, {"a": 1.0, "b": 1.0}, {"a": 4, "b": 4}),
        (8, {"a": 3.0, "b": 1.0}, {"a": 6, "b": 2}),
        (8, {"a": 100.0, "b": 0.0}, {"a": 7, "b": 1}),
        (2, {"a": 1.0, "b": 1.0, "c": 9.0}, {"a": 1, "b": 1, "c": 1}),
        (5, {"a": 0.0, "b": 0.0}, {"a": 3, "b": 2}),
        (4, {}, {}),
    ],
    ids=str,
)
def test_cores_are_shared_by_weight(
    cores: int, weights: dict[str, float], shares: dict[str, int]
) -> None:
    assert thread_shares(cores, weights) == shares


@given(
    cores=st.integers(1, 256),
    weights=st.dictionaries(st.text(max_size=3), st.floats(0, 1e9), min_size=1, max_size=20),
)
def test_all_cores_are_given_and_nobody_has_none(cores: int, weights: dict[str, float]) -> None:
    shares = thread_shares(cores, weights)

    assert min(shares.values()) >= 1
    assert sum(shares.values()) == max(cores, len(weights))
