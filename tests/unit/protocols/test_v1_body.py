"""Bodies of the v1 protocol: rows or columns, one signature, and the tokens that JSON has not."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from augurium.core.errors import InvalidArgument
from augurium.protocols.v1_body import examples_body, predict_body


def test_rows_and_columns_are_told_apart() -> None:
    rows = predict_body(b'{"instances": [[1, 2]], "more": 1}', 10)
    assert (rows.instances, rows.inputs) == ([[1, 2]], UNSET)
    columns = predict_body(b'{"inputs": {"x": [1]}, "signature_name": "serving_default"}', 10)
    assert (columns.instances, columns.inputs) == (UNSET, {"x": [1]})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"{}", "found neither"),
        (b'{"instances": [], "inputs": null}', "found both"),
        (b'{"instances": 3}', "Expected `array`, got `int`"),
        (b'{"instances": null}', "got `null`"),
        (b'{"instances": [1], "signature_name": 3}', "Expected `str | null`"),
        (b'{"instances": [1], "signature_name": "x"}', '"x" not found in signature def'),
        (b'{"instances": [1e999]}', "out of range"),
        (b'{"instances": [NaN, 1e999]}', "out of range"),
        (b'{"instances": [Infinity, 1e999]}', "out of range"),
        (b'{"instances": [NaNa]}', "invalid character"),
        (b'{"instances": [Infinity}', "malformed"),
        (b'{"instances": ["\\ud800", Infinity]}', "surrogate"),
        (b'\xef\xbb\xbf{"instances": [1]}', "invalid character"),
        ('{"instances": ["\u00e4"]}'.encode("latin-1"), "utf-8|UTF-8"),
        ('{"instances": [1]}'.encode("utf-16"), "failed to parse|invalid"),
        (b'{"instances": ' + b"[" * 11 + b"]" * 11 + b"}", "deeper than 10"),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        predict_body(body, 10)


def test_nan_is_null_and_infinities_are_numbers() -> None:
    found = predict_body(b'{"instances": [NaN, -NaN, Infinity, -Infinity, Inf, -Inf]}', 10)
    assert found.instances == [None, None, math.inf, -math.inf, math.inf, -math.inf]


def test_a_token_within_a_text_is_text() -> None:
    found = predict_body(b'{"instances": ["NaN \\" Infinity", Infinity, NaN]}', 10)
    assert found.instances == ['NaN " Infinity', math.inf, None]


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(plain, max_size=4))
def test_what_pythons_encoder_writes_is_read_as_it_was(rows: list[Any]) -> None:
    import json

    found = predict_body(json.dumps({"instances": rows}).encode(), 100).instances
    assert msgspec.json.encode(found) == msgspec.json.encode(rows)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "missing required field `examples`"),
        (b'{"examples": []}', "'examples' is empty"),
        (b'{"examples": {}}', "Expected `array`"),
        (b'{"examples": [1]}', "Expected `object`"),
        (b'{"examples": [{}], "context": []}', "Expected `object`, got `array`"),
        (b'{"examples": [{}], "signature_name": "x"}', "not found in signature def"),
    ],
)
def test_examples_are_objects(body: bytes, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        examples_body(body, 10)
