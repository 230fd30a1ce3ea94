"""JSON with the tokens that it does not have: NaN and the infinities, as TensorFlow Serving and
Python's own encoder write them.
"""

import json
import math
import re
from typing import TypeVar

import msgspec

from augurium.core.errors import InvalidArgument

T = TypeVar("T")

_pieces = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity|Inf)\b', re.DOTALL)


def decode(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    """What a decoder makes of the content; NaN is as null, an infinity as a float.

    Raises what the decoder raises. Content without such tokens is read once.
    """
    try:
        return decoder.decode(content)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        found = {match[0].lstrip(b"-") for match in _pieces.finditer(content)}
        tokens = found & {b"NaN", b"Infinity", b"Inf"}
        if not tokens:
            raise
    checked = decoder.decode(_pieces.sub(_without_token, content))
    if tokens == {b"NaN"}:
        return checked
    return msgspec.convert(_with_infinities(content), decoder.type)


def _without_token(match: re.Match[bytes]) -> bytes:
    piece = match[0]
    return piece if piece.startswith(b'"') else b"null"


def _python_token(match: re.Match[bytes]) -> bytes:
    piece = match[0]
    if piece.startswith(b'"'):
        return piece
    return b"null" if piece.endswith(b"NaN") else piece.replace(b"Infinity", b"Inf") + b"inity"


def _with_infinities(content: bytes) -> object:
    """The content, which was found to be right but for its tokens."""
    try:
        return json.loads(
            _pieces.sub(_python_token, content).decode(), parse_constant=float, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"failed to parse the request JSON: {error}") from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number out of range: {text[:32]}")
    return number
