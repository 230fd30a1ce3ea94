"""Homes: the same for all who know the same engines, and few of them move."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from augurium.serving.homes import home_of

slots = st.sets(st.integers(0, 63).map("engine-{}".format), min_size=1, max_size=16)


@given(st.text(max_size=20), slots, st.randoms())
def test_the_order_in_which_engines_are_known_does_not_matter(
    key: str, engines: set[str], chance: Random
) -> None:
    shuffled = sorted(engines)
    chance.shuffle(shuffled)
    assert home_of(key, shuffled) == home_of(key, engines)


@given(st.text(max_size=20), slots)
def test_who_leaves_moves_only_its_own(key: str, engines: set[str]) -> None:
    home = home_of(key, engines)
    for leaver in engines - {home}:
        assert home_of(key, engines - {leaver}) == home


def test_engines_have_about_as_much_to_hold() -> None:
    engines = [f"engine-{number}" for number in range(8)]
    held = Counter(home_of(f"model{number}@1", engines) for number in range(4000))
    assert set(held) == set(engines)
    assert max(held.values()) < 1.3 * 500
    assert min(held.values()) > 0.7 * 500
