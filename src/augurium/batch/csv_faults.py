"""What is wrong with a block of CSV that was not parsed: which of its records are no rows."""

import numpy as np
import numpy.typing as npt

from augurium.batch.record_blocks import (
    CARRIAGE_RETURN,
    Marks,
    Offsets,
    TellBad,
    lengths_of,
    outside,
    quote_places,
    record_ends,
    without,
)

LINE_ENDS = b"\r\n"
NUL = b"\0"


def sifted(
    content: bytes, first_record: int, width: int, marks: Marks, encoding: str, tell_bad: TellBad
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The records of `width` fields, and their numbers. Tells of the others, but not of empty
    lines, which are no rows and still have a number.
    """
    if not content.endswith(marks.newline):
        content += marks.newline
    quotes = quote_places(content, marks)
    ends = record_ends(content, marks)
    delimiters = outside(content, marks.delimiter, quotes)
    fields = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
    empty = _empty(content, ends)
    reasons = _reasons(content, ends, marks, quotes, encoding)
    for place in np.flatnonzero((fields != width) & ~empty).tolist():
        reasons.setdefault(place, _ragged(int(fields[place]), width))
    for place in sorted(reasons):
        tell_bad(first_record + place, "malformed", reasons[place])
    good = ~empty
    good[list(reasons)] = False
    return without(content, ends, good), np.flatnonzero(good) + first_record


def _reasons(
    content: bytes, ends: Offsets, marks: Marks, quotes: Offsets, encoding: str
) -> dict[int, str]:
    found: dict[int, str] = {}
    if NUL in content:
        for place in _records_with(np.flatnonzero(np.frombuffer(content, np.uint8) == 0), ends):
            found[place] = "the row has a NUL in it"
    if marks.newline[0] != CARRIAGE_RETURN and b"\r" in content:
        returns = outside(content, b"\r", quotes)
        following = np.frombuffer(content, np.uint8)[returns + 1]
        for place in _records_with(returns[following != marks.newline[0]], ends):
            found.setdefault(place, "the row has a carriage return in it that ends no line")
    if not is_valid(content, encoding):
        starts = ends - lengths_of(ends)
        for place, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            if not is_valid(content[start:end], encoding):
                found.setdefault(place, f"the row is not {encoding}")
    return found


def is_valid(content: bytes, encoding: str) -> bool:
    """Whether all of it is in the encoding."""
    if content.isascii():
        return True
    try:
        content.decode(encoding)
    except UnicodeError:
        return False
    return True


def _records_with(places: Offsets, ends: Offsets) -> list[int]:
    found: list[int] = np.unique(np.searchsorted(ends, places, "right")).tolist()
    return found


def _empty(content: bytes, ends: Offsets) -> npt.NDArray[np.bool_]:
    """Which records are a line end and nothing else."""
    lengths = lengths_of(ends)
    found = np.frombuffer(content, np.uint8)
    before = found[np.maximum(ends - 2, 0)]
    empty: npt.NDArray[np.bool_] = (lengths == 1) | (
        (lengths == len(LINE_ENDS)) & (before == CARRIAGE_RETURN)
    )
    return empty


def _ragged(fields: int, width: int) -> str:
    return f"the row has {fields} fields, the header {width}"
