"""The language of searches: terms apart by spaces, all of which must hold.

    fraud "wire transfer" name:risk tag:team=risk framework:sklearn alias:champion
    approval:approved deployed:true metric.accuracy>0.9

A word stands for text in names, descriptions, cards, tags, file names and frameworks, whatever its
case. A value with spaces stands in double quotes, in which a backslash takes away the meaning of
the next character. Nothing is a wildcard.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.registry.rules import APPROVALS

MAX_QUERY_CHARACTERS = 1000
MAX_TERMS = 20
Operator = Literal[">=", "<=", "!=", ">", "<", "="]
OPERATORS: dict[Operator, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
_METRIC = re.compile(r"(>=|<=|!=|>|<|=)(.*)", re.DOTALL)
_BOOLEANS = {"true": True, "false": False}


class Word(msgspec.Struct, frozen=True):
    """Text in what describes a version or its model, case-folded."""

    text: str


class Named(msgspec.Struct, frozen=True):
    """Text in the model's name, case-folded."""

    text: str


class Tagged(msgspec.Struct, frozen=True):
    """A tag of the version or its model; None is any value."""

    key: str
    value: str | None


class OfFramework(msgspec.Struct, frozen=True):
    framework: str


class Aliased(msgspec.Struct, frozen=True):
    """An alias that points at the version."""

    alias: str


class Approved(msgspec.Struct, frozen=True):
    """A state of approval."""

    approval: str


class Deployed(msgspec.Struct, frozen=True):
    wanted: bool


class Default(msgspec.Struct, frozen=True):
    """Whether the version is its model's default."""

    wanted: bool


class Deleted(msgspec.Struct, frozen=True):
    """Whether the version or its model is deleted; without this term only those that are not."""

    wanted: bool


class Measured(msgspec.Struct, frozen=True):
    """A metric held against a number; a version without that metric is not found."""

    metric: str
    operator: Operator
    number: float


Term = (
    Word
    | Named
    | Tagged
    | OfFramework
    | Aliased
    | Approved
    | Deployed
    | Default
    | Deleted
    | Measured
)


def parse_query(query: str) -> tuple[Term, ...]:
    """Reads a search. Raises InvalidArgument with the place of what cannot be read."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InvalidArgument(
            f"the search has {len(query)} characters; at most {MAX_QUERY_CHARACTERS} are allowed"
        )
    pieces = _pieces(query)
    if len(pieces) > MAX_TERMS:
        raise InvalidArgument(
            f"the search has {len(pieces)} terms; at most {MAX_TERMS} are allowed"
        )
    return tuple(_term(piece) for piece in pieces)


class _Piece(msgspec.Struct, frozen=True):
    """A term as text. `bare` has a blank where `text` was quoted, to find what joins in it."""

    start: int
    text: str
    bare: str


def _pieces(query: str) -> list[_Piece]:
    found, place = [], 0
    while place < len(query):
        if query[place].isspace():
            place += 1
            continue
        piece, place = _piece(query, place)
        found.append(piece)
    return found


def _piece(query: str, start: int) -> tuple[_Piece, int]:
    text, bare, opened, place = "", "", None, start
    while place < len(query) and (opened is not None or not query[place].isspace()):
        letter = query[place]
        _check_letter(letter, place)
        if letter == '"':
            opened = place if opened is None else None
        elif opened is not None:
            if letter == "\\" and place + 1 < len(query):
                place += 1
                letter = query[place]
            text, bare = text + letter, bare + " "
        else:
            text, bare = text + letter, bare + letter
        place += 1
    if opened is not None:
        raise _bad(opened, "the quotation begun here does not end", 'add a closing "')
    return _Piece(start, text, bare), place


def _term(piece: _Piece) -> Term:
    if piece.bare.startswith("metric."):
        return _metric(piece)
    colon = piece.bare.find(":")
    if colon < 0:
        if not piece.text:
            raise _bad(piece.start, "an empty text matches everything", "leave it out")
        return Word(piece.text.casefold())
    key, value = piece.bare[:colon], piece.text[colon + 1 :]
    make = _KEYS.get(key)
    if make is None:
        known = ", ".join(f"{name}:" for name in _KEYS)
        raise _bad(
            piece.start,
            f"'{piece.text[:colon]}:' is nothing to search by",
            f'expected one of {known} or metric.NAME>NUMBER; quote what holds a colon: "a:b"',
        )
    if not value:
        raise _bad(piece.start + colon + 1, f"{key}: has no value", f"write it, as in {key}:x")
    return make(piece, value)


def _tag(piece: _Piece, value: str) -> Term:
    equals = piece.bare.find("=", len("tag:"))
    if equals < 0:
        return Tagged(value, None)
    key = piece.text[len("tag:") : equals]
    if not key:
        raise _bad(piece.start, "the tag has no key", "write tag:KEY=VALUE")
    return Tagged(key, piece.text[equals + 1 :])


def _approval(piece: _Piece, value: str) -> Term:
    if value not in APPROVALS:
        raise _bad(
            piece.start,
            f"'{value}' is no state of approval",
            f"expected one of {', '.join(APPROVALS)}",
        )
    return Approved(value)


def _boolean(make: Callable[[bool], Term]) -> Callable[[_Piece, str], Term]:
    def read(piece: _Piece, value: str) -> Term:
        if value not in _BOOLEANS:
            raise _bad(piece.start, f"'{value}' is neither true nor false", "write one of them")
        return make(_BOOLEANS[value])

    return read


def _metric(piece: _Piece) -> Term:
    prefix = len("metric.")
    sign = re.search(r"[<>=!]", piece.bare[prefix:])
    place = prefix + (sign.start() if sign else 0)
    matched = _METRIC.fullmatch(piece.text[place:])
    name = piece.text[prefix:place]
    if matched is None or not name:
        raise _bad(
            piece.start,
            f"'{piece.text}' is no comparison of a metric",
            "write one such as metric.accuracy>0.9, with one of > >= < <= = !=",
        )
    return Measured(name, _operator(matched[1]), _number(piece, matched[2]))


def _operator(text: str) -> Operator:
    operator: Operator = msgspec.convert(text, Operator)
    return operator


def _number(piece: _Piece, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _bad(
            piece.start + len(piece.text) - len(text),
            f"'{text}' is not a finite number",
            "write one such as 0.9",
        )
    return number


_KEYS: dict[str, Callable[[_Piece, str], Term]] = {
    "name": lambda piece, value: Named(value.casefold()),
    "tag": _tag,
    "framework": lambda piece, value: OfFramework(value),
    "alias": lambda piece, value: Aliased(value),
    "approval": _approval,
    "deployed": _boolean(Deployed),
    "default": _boolean(Default),
    "deleted": _boolean(Deleted),
}


def _check_letter(letter: str, place: int) -> None:
    # a database takes neither; no description holds one either
    if letter == "\0" or "\ud800" <= letter <= "\udfff":
        raise _bad(place, "a NUL or a half of a surrogate pair cannot be searched", "remove it")


def _bad(place: int, what: str, remedy: str) -> InvalidArgument:
    return InvalidArgument(f"search, character {place + 1}: {what}; {remedy}")
