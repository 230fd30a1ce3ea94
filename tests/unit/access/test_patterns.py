import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.access.patterns import check_patterns, covers
from augurium.core.errors import InvalidArgument

NAMES = st.text("ab-", max_size=8)
PATTERNS = st.text("ab-*", min_size=1, max_size=8)


@given(PATTERNS, NAMES)
def test_a_pattern_matches_as_in_a_shell(pattern: str, name: str) -> None:
    assert covers([pattern], name) == fnmatchcase(name, pattern)


@given(PATTERNS, PATTERNS, NAMES)
def test_what_a_covered_pattern_matches_the_wider_one_matches_too(
    wide: str, narrow: str, name: str
) -> None:
    if covers([wide], narrow) and fnmatchcase(name, narrow):
        assert fnmatchcase(name, wide)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("fraud-*", "fraud-eu-*", True),
        ("fraud-*", "fraud-*", True),
        ("*", "fraud-*", True),
        ("fraud-*", "*", False),
        ("fraud-*", "fraud*", False),
        ("*-eu", "fraud-*", False),
        ("a*c", "abc", True),
    ],
)
def test_a_narrower_pattern_is_covered_and_a_wider_is_not(
    wide: str, narrow: str, covered: bool
) -> None:
    assert covers([wide], narrow) is covered


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    started = time.perf_counter()

    assert not covers(["*a" * 60], "a" * 128 + "b")

    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("pattern", ["", "a b", "a/b", "é*", "x" * 129, "a?"])
def test_a_pattern_that_can_match_no_model_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="fraud-"):
        check_patterns([pattern])


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at most 64"):
        check_patterns(f"m{number}" for number in range(65))
