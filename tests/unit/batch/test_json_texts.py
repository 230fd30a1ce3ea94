"""Columns as JSON: what any reader of JSON makes of them."""

import json
import math
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.json_texts import json_objects, json_texts

TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=8))
FLOATS = st.one_of(st.none(), st.floats(width=64))


def read(column: pa.Array) -> list[Any]:
    return [json.loads(text, parse_constant=pytest.fail) for text in json_texts(column).to_pylist()]


@given(st.lists(TEXTS, max_size=6))
def test_texts_of_any_characters_are_read_back(texts: list[str | None]) -> None:
    assert read(pa.array(texts, pa.string())) == texts


@given(st.lists(FLOATS, max_size=6))
def test_numbers_are_read_back_exactly_and_what_is_none_is_null(values: list[float | None]) -> None:
    expected = [one if one is not None and math.isfinite(one) else None for one in values]
    assert read(pa.array(values, pa.float64())) == expected


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=6))
def test_short_numbers_are_short_and_read_back_exactly(values: list[float]) -> None:
    texts = json_texts(pa.array(values, pa.float32())).to_pylist()
    assert [np.float32(text) for text in texts] == [np.float32(one) for one in values]
    digits = [text.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0") for text in texts]
    assert all(len(one) <= 9 for one in digits)


@given(st.lists(st.one_of(st.none(), st.lists(FLOATS, min_size=2, max_size=2)), max_size=5))
def test_vectors_are_lists(rows: list[list[float | None] | None]) -> None:
    def plain(row: list[float | None] | None) -> Any:
        if row is None:
            return None
        return [one if one is not None and math.isfinite(one) else None for one in row]

    column = pa.array(rows, pa.list_(pa.float64(), 2))
    expected = [plain(row) for row in rows]
    assert read(column) == expected
    assert read(column.slice(1)) == expected[1:]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.bool_(), [True, False, None], [True, False, None]),
        (pa.int64(), [2**63 - 1, -(2**63), None], [2**63 - 1, -(2**63), None]),
        (pa.uint64(), [2**64 - 1], [2**64 - 1]),
        (pa.decimal128(5, 2), [Decimal("1.50"), None], [1.5, None]),
        (pa.date32(), [date(2026, 1, 31)], ["2026-01-31"]),
        (pa.timestamp("ms"), [1_700_000_000_123], ["2023-11-14 22:13:20.123"]),
        (pa.timestamp("s", "UTC"), [1_700_000_000], ["2023-11-14 22:13:20Z"]),
        (pa.binary(), [b"\xff\x00", None], ["/wA=", None]),
        (pa.binary(2), [b"\xff\x00", None], ["/wA=", None]),
        (pa.null(), [None, None], [None, None]),
        (pa.list_(pa.int64()), [[1, None], [], None], [[1, None], [], None]),
        (pa.list_(pa.list_(pa.int64(), 2), 1), [[[1, 2]]], [[[1, 2]]]),
        (pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"a": 1, "b": '"'}, None], None),
        (pa.struct([("a", pa.float64())]), [{"a": 0.5}, {"a": None}], None),
        (pa.map_(pa.string(), pa.int64()), [[("a", 1)], []], [[["a", 1]], []]),
    ],
)
def test_values_of_every_type_are_what_they_are_in_json(
    kind: pa.DataType, values: list[Any], expected: list[Any] | None
) -> None:
    assert read(pa.array(values, kind)) == (values if expected is None else expected)


def test_an_object_has_the_columns_in_their_order_under_any_name() -> None:
    names = ['a "b"', "é\n", ""]
    columns = [pa.array([1, None]), pa.array(["x", "y"]), pa.array([True, False])]
    found = json_objects(names, columns).to_pylist()
    assert [list(json.loads(text).items()) for text in found] == [
        list(zip(names, (1, "x", True), strict=True)),
        list(zip(names, (None, "y", False), strict=True)),
    ]
