import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.access.key_text import new_key_text, read_key_text


def test_a_key_has_a_prefix_an_id_a_long_secret_and_a_checksum() -> None:
    key = new_key_text("test")

    assert re.fullmatch(r"aug_test_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}", key.text)


def test_no_two_keys_are_the_same() -> None:
    assert len({new_key_text("live").text for _ in range(100)}) == 100


def test_a_key_is_read_back_to_its_id_and_digest() -> None:
    key = new_key_text("live")

    assert read_key_text(key.text) == key


def test_the_digest_does_not_contain_the_secret() -> None:
    key = new_key_text("live")

    assert key.text.split("_")[3].encode() not in key.digest


@given(st.integers(0, 60), st.characters())
def test_a_mistyped_key_is_no_key(position: int, letter: str) -> None:
    key = new_key_text("live")
    changed = key.text[:position] + letter + key.text[position + 1 :]

    assert changed == key.text or read_key_text(changed) is None


@pytest.mark.parametrize(
    "text", ["", "aug", "aug_live", "_____", "aug_live_a_b_c", "x" * 100_000, "aug_live_ü_b_000000"]
)
def test_what_is_no_key_is_told_without_an_error(text: str) -> None:
    assert read_key_text(text) is None


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert read_key_text(text) is None
