import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.priority import Priority, priority_of, priority_of_level


def test_a_priority_is_one_of_three_words() -> None:
    assert [priority_of(word) for word in ("critical", "normal", "batch")] == list(Priority)
    with pytest.raises(InvalidArgument, match="critical, normal, batch"):
        priority_of("urgent")


def test_tritons_levels_count_from_the_most_important() -> None:
    found = [priority_of_level(level) for level in (1, 2, 3, 100, "batch")]
    assert found == [
        Priority.CRITICAL,
        Priority.NORMAL,
        Priority.BATCH,
        Priority.BATCH,
        Priority.BATCH,
    ]
    assert priority_of_level(0) is None


@pytest.mark.parametrize("level", [-1, True, 1.0, None, [], "1"], ids=str)
def test_what_is_no_level_is_refused(level: object) -> None:
    with pytest.raises(InvalidArgument):
        priority_of_level(level)
