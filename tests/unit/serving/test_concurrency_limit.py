import pytest

from augurium.core.errors import Overloaded
from augurium.core.priority import Priority
from augurium.core.serving_policy import OverloadPolicy
from augurium.serving.concurrency_limit import (
    LEAST_LIMIT,
    MOST_LIMIT,
    STEP_ANSWERS,
    STEP_S,
    FixedLimit,
    GradientLimit,
    check,
    limit_of,
)


def test_a_policy_without_a_limit_has_none() -> None:
    assert limit_of(OverloadPolicy()) is None
    assert isinstance(limit_of(OverloadPolicy(max_concurrency=3)), FixedLimit)
    assert isinstance(limit_of(OverloadPolicy(adaptive_concurrency=True)), GradientLimit)


def test_a_given_limit_holds_and_batch_leaves_room() -> None:
    limit = FixedLimit(4)
    check(limit, 4, Priority.NORMAL)
    check(limit, 3, Priority.BATCH)
    with pytest.raises(Overloaded) as refused:
        check(limit, 5, Priority.CRITICAL)
    assert refused.value.reason == "concurrency"
    with pytest.raises(Overloaded):
        check(limit, 4, Priority.BATCH)


class Watched:
    """A limit whose clock moves a step with every ten answers."""

    def __init__(self, most: int = MOST_LIMIT) -> None:
        self.now = 0.0
        self.adaptive = GradientLimit(most, lambda: self.now)

    def step(self, seconds: float, in_flight: int | None = None) -> int:
        for _ in range(STEP_ANSWERS):
            self.now += STEP_S
            self.adaptive.answered(seconds, self.adaptive.limit if in_flight is None else in_flight)
        return self.adaptive.limit


def test_it_grows_while_answers_take_as_long_as_usual() -> None:
    watched = Watched()
    assert [watched.step(0.01) for _ in range(2000)][-1] > 1000


def test_it_shrinks_when_answers_take_longer_and_comes_back() -> None:
    watched = Watched(200)
    found = [
        [watched.step(seconds) for _ in range(steps)][-1]
        for seconds, steps in ((0.01, 1000), (0.1, 50), (0.01, 1000))
    ]
    assert found[0] == found[2] == 200
    assert found[1] < 50


def test_few_requests_say_nothing_about_it() -> None:
    watched = Watched()
    before = watched.adaptive.limit
    assert [watched.step(0.01, 1) for _ in range(1000)][-1] == before


def test_it_stays_within_its_bounds() -> None:
    watched = Watched()
    for turn in range(3000):
        assert LEAST_LIMIT <= watched.step(0.001 * 2 ** (turn % 12)) <= MOST_LIMIT
    assert GradientLimit(2).limit == 2


@pytest.mark.parametrize("capacity", [8, 64])
def test_it_finds_about_what_a_server_can_do_at_once(capacity: int) -> None:
    """Answers take 10 ms, and longer in proportion where more than `capacity` are worked on."""
    watched = Watched()
    for _ in range(20):
        watched.step(0.01, 1)
    for _ in range(1000):
        watched.step(0.01 * max(1.0, watched.adaptive.limit / capacity))
    assert capacity * 0.8 <= watched.adaptive.limit <= capacity * 3.5
