"""A call as it is on the wire, whichever transport carries it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Result = TypeVar("Result")


class Answer(NamedTuple):
    """A successful answer: its body, and its headers or metadata with names in lower case."""

    content: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """One request with one answer: `target` is a path or a method; `read` makes the result.

    `read` raises AuguriumError for an answer that is damaged.
    """

    target: str
    content: bytes
    headers: Mapping[str, str]
    read: Callable[[Answer], Result]


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[Result]):
    """One request with many answers: `reader` makes a new reader of what arrives.

    A reader takes the next piece, and the headers, and gives the results that it completes; it
    raises AuguriumError for an error that stands in the stream.
    """

    target: str
    content: bytes
    headers: Mapping[str, str]
    reader: Callable[[Mapping[str, str]], Callable[[bytes], Iterator[Result]]]
