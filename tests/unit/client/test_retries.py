"""Which errors are worth another attempt, after which pause, and out of which budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.client.deadline import Deadline
from augurium.client.errors import CLASS_BY_KIND, NoServer
from augurium.client.retries import Attempts, Retries, RetryBudget
from augurium.core.errors import AuguriumError, InvalidArgument, NotReady, Overloaded


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def attempts(
    clock: Clock, retries: Retries, total_s: float = 60.0, chance: float = 1.0
) -> Attempts:
    budget = RetryBudget(retries, clock)
    return Attempts(retries, budget, Deadline(total_s, clock), lambda: chance)


@pytest.mark.parametrize("kind", list(CLASS_BY_KIND))
def test_only_what_may_succeed_later_is_tried_again(clock: Clock, kind: str) -> None:
    error = CLASS_BY_KIND[kind]("why")

    pause_s = attempts(clock, Retries()).pause_s(error)

    assert (pause_s is not None) == (kind in ("not_ready", "overloaded"))


def test_a_server_that_does_not_answer_is_tried_again(clock: Clock) -> None:
    assert attempts(clock, Retries()).pause_s(NoServer("nobody")) is not None


def test_pauses_grow_up_to_the_longest(clock: Clock) -> None:
    retries = Retries(attempts=9, first_pause_s=0.1, longest_pause_s=1.0)
    made = attempts(clock, retries)

    pauses = [made.pause_s(NotReady("later")) for _ in range(6)]

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@given(chance=st.floats(0, 1), tried=st.integers(0, 2000))
def test_a_pause_is_anything_between_nothing_and_its_most(chance: float, tried: int) -> None:
    retries = Retries(attempts=5000, first_pause_s=0.5, longest_pause_s=4.0, reserve=5000)
    made = attempts(Clock(), retries, chance=chance)
    for _ in range(tried):
        made.pause_s(Overloaded("later"))

    pause_s = made.pause_s(Overloaded("later"))

    assert pause_s == pytest.approx(chance * min(4.0, 0.5 * 2.0 ** min(tried, 60)))


def test_what_the_server_asked_for_comes_on_top(clock: Clock) -> None:
    error = NotReady("later")
    error.retry_after_s = 3.0

    assert attempts(clock, Retries(first_pause_s=0.5)).pause_s(error) == 3.5


def test_the_last_attempt_is_the_last(clock: Clock) -> None:
    made = attempts(clock, Retries(attempts=2))
    error = NotReady("later")

    assert made.pause_s(error) is not None
    assert made.pause_s(error) is None
    assert error.__notes__ == ["gave up after 2 attempts"]


def test_one_attempt_leaves_the_error_as_it_is(clock: Clock) -> None:
    error = NotReady("later")

    assert attempts(clock, Retries(attempts=1)).pause_s(error) is None
    assert not hasattr(error, "__notes__")


def test_no_pause_reaches_the_deadline(clock: Clock) -> None:
    made = attempts(clock, Retries(attempts=9, first_pause_s=1.0), total_s=2.5)
    error = NotReady("later")

    assert made.pause_s(error) == 1.0
    clock.now += 1.0
    assert made.pause_s(error) is None
    assert "deadline of 2.5 s" in error.__notes__[0]


def test_a_tenth_of_the_calls_may_be_retries(clock: Clock) -> None:
    retries = Retries(attempts=9, share=0.1, per_s=0.0, reserve=5.0)
    budget = RetryBudget(retries, clock)

    allowed = 0
    for _ in range(1000):
        made = Attempts(retries, budget, Deadline(60.0, clock), lambda: 0.0)
        while made.pause_s(NotReady("later")) is not None:
            allowed += 1

    assert allowed == pytest.approx(5 + 100, abs=1)


def test_time_fills_the_budget_up_to_its_reserve(clock: Clock) -> None:
    budget = RetryBudget(Retries(share=0.0, per_s=2.0, reserve=3.0), clock)

    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]
    clock.now += 1.0
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    clock.now += 1000.0
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    "numbers",
    [{"attempts": 0}, {"first_pause_s": -1.0}, {"share": float("inf")}, {"per_s": float("nan")}],
)
def test_numbers_that_mean_nothing_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument, match="cannot be meant"):
        Retries(**numbers)  # type: ignore[arg-type]


def test_a_deadline_says_who_missed_it(clock: Clock) -> None:
    deadline = Deadline(1.5, clock)
    assert deadline.check("http://node:8000") == 1.5
    clock.now += 2.0

    with pytest.raises(AuguriumError, match=r"http://node:8000 did not answer within 1\.5 s"):
        deadline.check("http://node:8000")
    assert deadline.left_s == 0.0
