"""When a job has set aside more rows than it may."""

import pytest

from augurium.batch.bad_row_limit import BadRowLimit
from augurium.batch.partition import RejectedRow
from augurium.core.batch_job import BadRows
from augurium.core.errors import Unprocessable

ROW = RejectedRow("/data/a.csv", 17, "age", "wrong_type", "'x' is no number")


def test_without_a_limit_the_first_bad_row_is_one_too_many() -> None:
    limit = BadRowLimit(BadRows(), 1000)
    limit.check(0)

    with pytest.raises(
        Unprocessable,
        match=r"1 row cannot be scored \(/data/a.csv, row 17, column 'age': 'x' is no number\)",
    ):
        limit.check(1, ROW)


def test_as_many_as_are_allowed_are_allowed() -> None:
    limit = BadRowLimit(BadRows(count=3), None)

    limit.check(3)
    with pytest.raises(Unprocessable, match="4 rows cannot be scored, and at most 3 rows"):
        limit.check(4)


def test_a_share_is_of_the_rows_of_the_whole_input() -> None:
    limit = BadRowLimit(BadRows(share=0.01), 1000)

    limit.check(10)
    with pytest.raises(Unprocessable, match="at most 1% of 1000"):
        limit.check(11)


def test_a_share_of_an_unknown_number_is_judged_at_the_end() -> None:
    limit = BadRowLimit(BadRows(share=0.01), None)

    limit.check(500)
    limit.check_end(500, considered=50_000)
    with pytest.raises(Unprocessable, match="at most 1% of 49999"):
        limit.check_end(500, considered=49_999)


def test_a_share_does_not_count_rows_that_were_filtered_out() -> None:
    limit = BadRowLimit(BadRows(share=0.5), 1000)

    limit.check(100)
    with pytest.raises(Unprocessable, match="at most 50% of 150"):
        limit.check_end(100, considered=150)


def test_both_limits_hold_where_both_are_given() -> None:
    limit = BadRowLimit(BadRows(count=5, share=0.5), 8)

    limit.check(4)
    with pytest.raises(Unprocessable, match="50%"):
        limit.check(5)
