"""Iterators that work ahead of whoever takes from them, on a thread of their own."""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Takes from `source` on a thread, at most `depth` items before they are wanted.

    What the source raises is raised where its item would have come. Closed, it takes no more; the
    thread ends when the item that it is at is there. Chained, several of them overlap.
    """

    def __init__(self, source: Iterable[T], depth: int = 2, name: str = "ahead") -> None:
        self._source = source
        self._depth = depth
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._ended = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _taken(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            for item in self._source:
                if not self._offered(item):
                    return
        except BaseException as error:  # it is raised where the items are taken
            self._failure = error
        finally:
            if isinstance(self._source, Generator):
                self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _offered(self, item: T) -> bool:
        """False if nobody wants it any more."""
        with self._changed:
            # the one that is being made counts: no more than `depth` are in memory
            self._items.append(item)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            return not self._closed
