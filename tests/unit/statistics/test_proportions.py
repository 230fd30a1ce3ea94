"""Intervals of shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.statistics.proportions import newcombe, wilson


def test_the_score_interval_of_ten_in_a_hundred() -> None:
    assert wilson(10, 100) == pytest.approx((0.055229, 0.174366), abs=1e-5)


def test_the_difference_is_that_of_newcombe_1998() -> None:
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_no_event_and_nothing_but_events_end_at_zero_and_one() -> None:
    assert wilson(0, 20)[0] == 0
    assert wilson(20, 20)[1] == 1
    assert wilson(0, 0) == (0, 1)
    assert newcombe(0, 0, 3, 10) == (-1, 1)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_share_lies_in_its_interval(events: int, others: int) -> None:
    low, high = wilson(events, events + others)

    assert 0 <= low <= events / (events + others) <= high <= 1


def test_more_events_than_requests_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected 0 to 10"):
        wilson(11, 10)
