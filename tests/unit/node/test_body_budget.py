"""How many bytes of bodies are held: never more than the limit, and none in the end."""

from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import ErrorKind
from augurium.node.body_budget import SMALL_BODY_BYTES, BodyBudget, BodyShare

LIMIT = 10 * SMALL_BODY_BYTES


def test_a_full_budget_takes_no_more_until_something_is_given_back() -> None:
    budget = BodyBudget(LIMIT)

    assert budget.take(LIMIT)
    assert not budget.take(1)
    assert budget.full().kind is ErrorKind.OVERLOADED
    budget.give_back(1)
    assert budget.take(1)


def test_a_single_body_above_the_limit_is_taken_when_nothing_else_is_held() -> None:
    budget = BodyBudget(LIMIT)

    assert budget.take(2 * LIMIT)
    assert not budget.take(1)


def test_small_bodies_are_neither_counted_nor_refused() -> None:
    budget = BodyBudget(LIMIT)
    budget.take(LIMIT)
    share = BodyShare(budget)

    assert share.hold(SMALL_BODY_BYTES)
    assert not share.hold(SMALL_BODY_BYTES + 1)
    assert budget.held_bytes == LIMIT


def test_a_share_gives_back_no_more_than_it_has() -> None:
    budget = BodyBudget(LIMIT)
    budget.take(100)
    share = BodyShare(budget)
    share.take(50)

    share.give_back(70)
    share.give_back(70)
    assert budget.held_bytes == 100


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, LIMIT)), max_size=60))
def test_shares_stay_within_the_budget_and_end_at_nothing(steps: list[tuple[int, int]]) -> None:
    budget = BodyBudget(LIMIT)
    shares = [BodyShare(budget) for _ in range(5)]
    for number, size in steps:
        before = shares[number].held_bytes
        if not shares[number].hold(size):
            assert shares[number].held_bytes == before
        assert budget.held_bytes == sum(share.held_bytes for share in shares) <= LIMIT
    for share in shares:
        share.hold(0)
    assert budget.held_bytes == 0
