"""How many processors predictions get beside batch jobs, and which."""

import pytest

from augurium.node.processor_split import Split, needed_for, split_of

FOUR = frozenset({2, 3, 5, 7})


@pytest.mark.parametrize(
    ("use", "usable", "needed"),
    [
        (0.0, 4, 0),
        (0.02, 4, 0),  # an engine that nobody asks anything
        (0.03, 4, 1),
        (0.66, 4, 1),
        (0.67, 4, 2),
        (1.4, 4, 3),
        (2.7, 4, 4),
        (3.9, 4, 4),
        (0.5, 2, 1),
        (0.7, 2, 2),
        (1.0, 1, 0),  # nothing to split
    ],
)
def test_predictions_need_half_as_much_again_as_they_use(
    use: float, usable: int, needed: int
) -> None:
    assert needed_for(use, usable) == needed


@pytest.mark.parametrize(
    ("needed", "online", "batch"),
    [
        (0, FOUR, FOUR),
        (1, {2}, {3, 5, 7}),
        (3, {2, 3, 5}, {7}),
        (4, FOUR, {7}),
    ],
)
def test_whoever_is_not_needed_for_predictions_is_left_to_jobs(
    needed: int, online: set[int], batch: set[int]
) -> None:
    assert split_of(FOUR, needed) == Split(frozenset(online), frozenset(batch))
