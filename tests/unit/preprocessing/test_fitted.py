"""A fitted preprocessing is plain JSON that is checked when it is read."""

import datetime
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import DateParts, Impute, OneHot, Preprocessing, Standardize
from augurium.preprocessing.fitted import FittedPreprocessing, fitted_from_json
from augurium.preprocessing.hashing import murmur3
from augurium.preprocessing.reference import date_part
from tests.support.preprocessing import texts

TABLE = {"age": np.array([1.0, 2.0, np.nan]), "city": texts("a", "b", "a")}


@pytest.fixture
def fitted() -> FittedPreprocessing:
    return Preprocessing((Impute("age"), Standardize("age"), OneHot("city"))).fit(TABLE)


def test_json_gives_the_same_preprocessing_again(fitted: FittedPreprocessing) -> None:
    assert fitted_from_json(fitted.to_json()) == fitted
    assert (
        fitted.to_json()
        == Preprocessing((Impute("age"), Standardize("age"), OneHot("city"))).fit(TABLE).to_json()
    )


def test_the_schema_hash_tells_other_columns_from_other_numbers(
    fitted: FittedPreprocessing,
) -> None:
    declared = Preprocessing((Impute("age"), Standardize("age"), OneHot("city")))
    other_rows = declared.fit({**TABLE, "age": np.array([5.0, 6.0, 7.0])})
    other_levels = declared.fit({**TABLE, "city": texts("a", "b", "c")})

    assert other_rows.schema_hash == fitted.schema_hash
    assert other_levels.schema_hash != fitted.schema_hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"fill"', b'"magic"', "is not a fitted preprocessing"),
        (b'"format": 1', b'"format": 2', "this release reads format 1"),
        (b'"name": "city"', b'"name": "town"', "does not fit its schema hash"),
        (b'"column": "city"', b'"column": "town"', "reads the column 'town', which is not there"),
        (
            b'"step": "scale",\n   "column": "age"',
            b'"step": "scale",\n   "column": "city"',
            "scale",
        ),
    ],
)
def test_json_changed_by_hand_is_refused(
    fitted: FittedPreprocessing, old: bytes, new: bytes, said: str
) -> None:
    content = fitted.to_json()
    assert old in content

    with pytest.raises(InvalidArgument, match=said):
        fitted_from_json(content.replace(old, new), "fitted.json")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"age": [1.0]}, "lacks the column 'city'"),
        ({"age": [1.0], "city": texts("a", "b")}, "has 2 values and others have 1"),
        ({"age": [1.0], "city": texts(None)}, "missing value in row 0, and none were expected"),
        ({"age": ["x"], "city": texts("a")}, "'x' .str. in row 0; expected a number"),
        ({"height": [1.0]}, "has none of the columns"),
        (3, "a int is not a table"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    fitted: FittedPreprocessing, table: Any, said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        fitted.transform(table)


def test_the_hash_is_murmur3_as_published() -> None:
    assert murmur3("", 0) == 0
    assert murmur3("", 1) == 0x514E28B7
    assert murmur3("Hello, world!", 0x9747B28C) == 0x24884CBA
    assert murmur3("The quick brown fox jumps over the lazy dog", 0x9747B28C) == 0x2FA826CD


def test_parts_of_a_moment_are_those_of_the_calendar() -> None:
    years = (1, 4, 100, 400, 1582, 1899, 1900, 1970, 2000, 2023, 2024, 9999)
    days = ((1, 1), (2, 28), (3, 1), (7, 4), (12, 31))
    leap = [(y, 2, 29, 12) for y in (4, 400, 2000, 2024)]
    all_of_them = [(y, m, d, h) for y in years for m, d in days for h in (0, 23)] + leap
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    moments = [datetime.datetime(*parts, tzinfo=datetime.UTC) for parts in all_of_them]
    seconds = np.array([(moment - epoch).total_seconds() for moment in moments])

    expected = {
        "year": [m.year for m in moments],
        "month": [m.month for m in moments],
        "day": [m.day for m in moments],
        "hour": [m.hour for m in moments],
        "weekday": [m.weekday() for m in moments],
        "day_of_year": [m.timetuple().tm_yday for m in moments],
        "is_weekend": [m.weekday() > 4 for m in moments],
        "epoch_day": [(m - epoch).days for m in moments],
    }
    for part, values in expected.items():
        np.testing.assert_array_equal(date_part(seconds, part), values, err_msg=part)


def test_a_moment_out_of_the_calendar_has_no_parts() -> None:
    fitted = Preprocessing((DateParts("d", ("year",)),)).fit(
        {"d": np.array(["2024-01-01", "NaT"], "datetime64[s]")}
    )

    found = fitted.transform({"d": [1e12, -1e12, None]})[0]
    assert np.isnan(found).all()
