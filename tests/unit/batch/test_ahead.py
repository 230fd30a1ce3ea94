"""Iterators that work ahead on a thread."""

import threading
from collections.abc import Iterator

import pytest

from augurium.batch.ahead import Ahead


def test_items_come_in_their_order() -> None:
    with Ahead(range(100)) as items:
        assert list(items) == list(range(100))


def test_the_source_is_ahead_by_no_more_than_the_depth() -> None:
    taken: list[int] = []
    third = threading.Event()

    def source() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            if number == 2:
                third.set()
            yield number

    with Ahead(source(), depth=2) as items:
        first = next(items)
        assert third.wait(10)
        ahead = len(taken)

    assert first == 0
    assert ahead == 3


def test_what_the_source_raises_comes_behind_its_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken off")

    with Ahead(source()) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="broken off"):
            next(items)


def test_a_source_that_nobody_wants_any_more_is_closed() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with Ahead(source()) as items:
        next(items)

    assert closed.is_set()


def test_chained_ones_end_when_the_last_is_left() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    with (
        Ahead(endless(), name="first") as numbers,
        Ahead((number + 1 for number in numbers), name="second") as more,
    ):
        assert next(more) == 2

    assert not {"first", "second"} & {thread.name for thread in threading.enumerate()}
