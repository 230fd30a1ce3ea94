"""Reading Universal Binary JSON as XGBoost writes it."""

import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import Unprocessable
from augurium.importing import ubjson


def length(count: int) -> bytes:
    return b"L" + struct.pack(">q", count)


def text(value: str) -> bytes:
    encoded = value.encode()
    return length(len(encoded)) + encoded


def encoded(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{" + b"".join(text(k) + encoded(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[#" + length(len(value)) + b"".join(encoded(item) for item in value)
    if isinstance(value, str):
        return b"S" + text(value)
    return b"L" + struct.pack(">q", value)


documents = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents)
def test_documents_come_back_as_they_were(document: Any) -> None:
    assert ubjson.decode(encoded(document)) == document


@given(documents, st.data())
def test_a_shortened_document_is_refused(document: Any, data: st.DataObject) -> None:
    content = encoded(document)
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(Unprocessable):
        ubjson.decode(content[:kept])


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_but_nothing_else(content: bytes) -> None:
    with suppress(Unprocessable):
        assert isinstance(ubjson.decode(b"{" + content), dict)


def test_typed_arrays_become_numpy_arrays() -> None:
    content = b"[$d#" + length(2) + struct.pack(">2f", 1.5, -2.0)
    found = ubjson.decode(content)
    np.testing.assert_array_equal(found, np.array([1.5, -2.0], np.float32))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[$d#" + length(2**62), "beyond its end"),
        (b"[$d#" + length(-1), "negative count"),
        (b"[#" + length(2**62), "count beyond its end"),
        (b"[$q#" + length(1), "unknown type"),
        (b"{" + text("a") + b"Z" + text("a") + b"Z}", "'a' twice"),
        (b"{" + text("a") + b"X}", "unknown mark"),
        (b"{}{}", "behind its end"),
        (b"[" * 100_000, "more than 64 levels"),
        (b"S" + length(2) + b"\xff\xff", "not UTF-8"),
        (b"Sd\x00\x00\x00\x00", "not an integer"),
    ],
)
def test_damage_is_named(content: bytes, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        ubjson.decode(content)
