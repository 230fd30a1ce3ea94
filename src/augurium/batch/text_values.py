"""Texts to values of another type, and which of them are none. Imports pyarrow."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from augurium.core.errors import InvalidArgument
from augurium.core.moments import epoch_seconds

Places = npt.NDArray[np.intp]
NOWHERE: Places = np.empty(0, np.intp)


def parsed(texts: Any, kind: Any) -> tuple[Any, Places]:
    """An array of texts as one of `kind`, null where a text is no such value, and those places."""
    trimmed = pc.utf8_trim(texts, " \t")
    bad: list[int] = []
    pieces = _parsed(trimmed, kind, 0, bad)
    found = pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
    if pa.types.is_floating(kind):
        # Arrow makes infinity of what is too large
        infinite = pc.fill_null(pc.is_inf(found), False)
        named = pc.fill_null(pc.match_substring(trimmed, "inf", ignore_case=True), True)
        too_large = pc.and_not(infinite, named)
        found = pc.if_else(too_large, None, found)
        bad += np.flatnonzero(too_large.to_numpy(zero_copy_only=False)).tolist()
    return found, np.array(sorted(bad), np.intp)


def moments(texts: Any) -> tuple[Any, Places]:
    """ISO 8601 texts, or numbers, as seconds since 1970; null where a text is neither, and those
    places.
    """
    encoded = texts.dictionary_encode()
    seconds = [_seconds(text) for text in encoded.dictionary.to_pylist()]
    found = pa.array(seconds, pa.float64()).take(encoded.indices)
    bad = pc.and_(found.is_null(), texts.is_valid())
    return found, np.flatnonzero(bad.to_numpy(zero_copy_only=False))


def has_infinity(array: Any) -> bool:
    """Whether any number of an array is infinite."""
    if not pa.types.is_floating(array.type):
        return False
    return bool(np.isinf(array.to_numpy(zero_copy_only=False)).any())


def _parsed(texts: Any, kind: Any, first: int, bad: list[int]) -> list[Any]:
    """Halves what cannot be parsed until single texts are left: Arrow does not say which it is."""
    try:
        return [pc.cast(texts, kind)]
    except pa.ArrowInvalid:
        if len(texts) == 1:
            bad.append(first)
            return [pa.nulls(1, kind)]
    half = len(texts) // 2
    return [
        *_parsed(texts[:half], kind, first, bad),
        *_parsed(texts[half:], kind, first + half, bad),
    ]


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return epoch_seconds(text)
    except InvalidArgument:
        return None
