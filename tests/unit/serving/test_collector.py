"""What has settled is no work for the garbage collector, and what goes is collected in the end."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from augurium.serving.collector import MANY_RETIRED, Collector


class Cycle:
    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_has_settled_is_frozen() -> None:
    kept = [Cycle() for _ in range(1000)]
    Collector().settle(0)
    assert gc.get_freeze_count() > len(kept)


def test_garbage_among_the_frozen_goes_when_many_versions_have_gone() -> None:
    collector, cycle = Collector(), Cycle()
    collector.settle(0)
    left = weakref.ref(cycle)
    del cycle
    collector.settle(MANY_RETIRED - 1)
    gc.collect()
    assert left() is not None
    collector.settle(MANY_RETIRED)
    assert left() is None
    assert gc.get_freeze_count()


def test_garbage_of_later_is_collected_as_ever() -> None:
    collector = Collector()
    collector.settle(0)
    left = weakref.ref(Cycle())
    gc.collect()
    assert left() is None
