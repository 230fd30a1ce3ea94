"""Text is cut where records end, wherever its pieces end, and never grows in memory."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.record_blocks import MAX_ROW_BYTES, Marks, record_blocks, record_ends

CSV = Marks(b"\n", b",", b'"')
LINES = Marks()
MIB = 1024 * 1024


def cut(pieces: Iterator[bytes] | list[bytes], marks: Marks = CSV) -> tuple[list[bytes], list[int]]:
    """All records, and the numbers of those that are none."""
    records: list[bytes] = []
    bad: list[int] = []
    for block in record_blocks(pieces, marks, lambda number, kind, reason: bad.append(number)):
        assert block.first_record == 1 + len(records) + len(bad)
        ends = record_ends(block.content, marks).tolist()
        if not ends or ends[-1] < len(block.content):
            ends.append(len(block.content))
        starts = [0, *ends[:-1]]
        records += [block.content[a:b] for a, b in zip(starts, ends, strict=True)]
        assert block.records == len(ends)
    return records, bad


TEXT = st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b'""', b',"', b'",']), max_size=40).map(
    b"".join
)


@given(content=TEXT, sizes=st.lists(st.integers(1, 7), min_size=1))
def test_where_pieces_end_changes_nothing(content: bytes, sizes: list[int]) -> None:
    pieces, place, turn = [], 0, 0
    while place < len(content):
        size = sizes[turn % len(sizes)]
        pieces.append(content[place : place + size])
        place, turn = place + size, turn + 1
    assert cut(pieces) == cut([content])


@given(content=TEXT)
def test_every_byte_is_in_a_record_or_told_of(content: bytes) -> None:
    records, bad = cut([content])
    if not bad:
        assert b"".join(records) == content


@given(content=TEXT)
def test_from_the_end_of_any_record_on_the_same_records_follow(content: bytes) -> None:
    records, bad = cut([content])
    if bad:
        return
    for number in range(len(records)):
        assert cut([b"".join(records[number:])])[0] == records[number:]


def test_line_ends_within_quotes_end_no_record() -> None:
    content = b'a,"b\nc"\nd,e"\nf\n"x""\n""y",1\n'
    assert cut([content]) == ([b'a,"b\nc"\n', b'd,e"\n', b"f\n", b'"x""\n""y",1\n'], [])


def test_after_a_quote_that_is_not_closed_the_next_line_is_a_record_again() -> None:
    assert cut([b'a\n"b\nc\n', b"d,e\n"]) == ([b"a\n", b"c\n", b"d,e\n"], [2])


def test_a_row_that_is_too_long_is_passed_over_without_being_held() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a\n"
        for _ in range(3 * MAX_ROW_BYTES // MIB):
            yield b"x" * MIB
        yield b"\nb\n"

    assert cut(pieces()) == ([b"a\n", b"b\n"], [2])
    assert cut(pieces(), LINES) == ([b"a\n", b"b\n"], [2])


def test_a_row_of_the_greatest_length_is_a_row_and_one_byte_more_is_none() -> None:
    longest = b"x" * (MAX_ROW_BYTES - 1) + b"\n"
    for step in (MIB, MAX_ROW_BYTES + 17):
        content = longest + b"x" + longest + b"end\n"
        pieces = [content[place : place + step] for place in range(0, len(content), step)]
        records, bad = cut(pieces)
        assert [len(record) for record in records] == [MAX_ROW_BYTES, 4]
        assert bad == [2]


def test_a_quote_that_is_closed_too_late_is_told_of_line_by_line() -> None:
    line = b"y" * (MIB - 1) + b"\n"
    pieces = [b'1,"open\n', *[line] * (MAX_ROW_BYTES // MIB + 2), b'"\nlast\n']
    records, bad = cut(pieces)
    assert bad[0] == 1
    assert records[0] == line
