"""Rows are left out by an expression that sees one row and nothing else."""

import pyarrow as pa
import pytest

from augurium.batch.row_filter import RowFilter
from augurium.core.errors import InvalidArgument

ROWS = pa.record_batch(
    {
        "amount": pa.array([5, 15, None, 25]),
        "Country": pa.array(["DE", "FR", "DE", None]),
        "day of week": pa.array([1, 2, 3, 4]),
    }
)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("amount > 10", [False, True, False, True]),
        ("amount > 10 AND country = 'DE'", [False] * 4),
        ("amount IS NULL OR \"Country\" = 'FR'", [False, True, True, False]),
        ('"day of week" IN (1, 4)', [True, False, False, True]),
        ("lower(Country) LIKE 'd%' -- with a comment", [True, False, True, False]),
        ("list_filter([1, 9], lambda x: x > amount)[1] = 9", [True, False, False, False]),
        ("TRUE", [True] * 4),
    ],
)
def test_rows_are_kept_for_which_it_is_true(expression: str, kept: list[bool]) -> None:
    assert RowFilter(expression, ROWS.schema).mask(ROWS).tolist() == kept


def test_it_tells_which_columns_it_needs() -> None:
    assert RowFilter("country = 'DE'", ROWS.schema).columns == ["Country"]


@pytest.mark.parametrize(
    "expression",
    [
        "amount >",
        "",
        "no_such_column > 1",
        "amount > 10); SELECT (1",
        "amount IN (SELECT 1)",
        "EXISTS (FROM rows_of_block)",
        "(SELECT content FROM read_text('/etc/passwd')) = 'x'",
        "max(amount) > 1",
        "row_number() OVER () > 1",
        "amount > ?",
        "random() > 0.5",
        "now() > TIMESTAMP '2020-01-01'",
        "current_date > DATE '2020-01-01'",
        "current_setting('threads') = '1'",
        "amount = unnest([1, 2])",
        "gen_random_uuid() IS NOT NULL",
        "country + 1",
        "sleep_ms(1) IS NULL",
        "write_log('x') IS NULL",
        "nextval('s') = 1",
    ],
)
def test_what_cannot_be_asked_of_one_row_is_refused(expression: str) -> None:
    with pytest.raises(InvalidArgument, match="the filter"):
        RowFilter(expression, ROWS.schema)


def test_a_value_on_which_it_fails_is_told() -> None:
    found = RowFilter("CAST(country AS INTEGER) > 1", ROWS.schema)
    with pytest.raises(InvalidArgument, match="Could not convert string 'DE'"):
        found.mask(ROWS)
