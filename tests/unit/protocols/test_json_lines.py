"""JSON Lines: rows in, lines out."""

from typing import Any

import pytest

from augurium.core.errors import InvalidArgument, Overloaded
from augurium.core.signature import Signature
from augurium.protocols.json_lines import JsonLines, encode, encode_error

ANY = Signature((), ())


def rows(content: bytes, batch_rows: int = 2) -> list[list[Any]]:
    return [block.rows for block in JsonLines(content, 5).blocks(ANY, batch_rows)]


def test_every_line_is_a_row_and_a_block_is_a_batch() -> None:
    assert rows(b'{"a": 1}\n[2]\n3') == [[{"a": 1}, [2]], [3]]


@pytest.mark.parametrize("content", [b"1\n\n2\n", b"1\r\n \t\r\n2\r\n", b"\n\n1\n2"])
def test_empty_lines_and_ends_of_any_kind_are_no_rows(content: bytes) -> None:
    assert rows(content) == [[1, 2]]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  "])
def test_a_body_without_lines_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match="has no lines"):
        rows(content)


@pytest.mark.parametrize(
    "line", [b"{", b"[1] [2]", b"\xff", b'"\xff"', b"nan", b"[" * 6 + b"]" * 6, b"[" * 100_000]
)
def test_a_bad_line_is_named_by_its_number(line: bytes) -> None:
    with pytest.raises(InvalidArgument, match="line 3 "):
        rows(b"1\n\n" + line + b"\n4")


def test_lines_before_a_bad_one_are_given_first() -> None:
    blocks = JsonLines(b"1\n2\n{", 5).blocks(ANY, 2)

    assert next(blocks).rows == [1, 2]
    with pytest.raises(InvalidArgument):
        next(blocks)


def test_predictions_and_an_error_are_a_line_each() -> None:
    assert encode([1, [2.5], {"a": float("nan")}]) == b'1\n[2.5]\n{"a":null}\n'
    assert encode_error(Overloaded("full")) == b'{"error":"full"}\n'
