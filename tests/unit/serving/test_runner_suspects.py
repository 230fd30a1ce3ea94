"""Which versions may not share a runner any more."""

from pathlib import Path

import pytest

from augurium.serving.runner_suspects import SAME_END_S, WINDOW_S, Suspects, forget_suspects


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def suspects(tmp_path: Path, clock: Clock) -> Suspects:
    return Suspects(tmp_path, clock)


def test_the_second_end_with_a_version_inside_is_enough(suspects: Suspects, clock: Clock) -> None:
    suspects.was_running("a")
    assert not suspects.is_proven("a")
    clock.now += WINDOW_S - 1
    suspects.was_running("a")
    assert suspects.is_proven("a")
    assert not suspects.is_proven("b")


def test_ends_that_lie_far_apart_are_accidents(suspects: Suspects, clock: Clock) -> None:
    for _ in range(4):
        suspects.was_running("a")
        clock.now += WINDOW_S + 1
    assert not suspects.is_proven("a")


def test_one_end_that_several_engines_report_counts_once(
    suspects: Suspects, clock: Clock, tmp_path: Path
) -> None:
    suspects.was_running("a")
    clock.now += SAME_END_S / 2
    Suspects(tmp_path, clock).was_running("a")
    assert not suspects.is_proven("a")


def test_one_end_while_it_loads_is_enough_and_stays_so(suspects: Suspects, clock: Clock) -> None:
    suspects.was_loading("a")
    clock.now += 10 * WINDOW_S
    suspects.was_running("a")
    assert suspects.is_proven("a")


def test_all_engines_agree_until_the_node_starts_again(suspects: Suspects, tmp_path: Path) -> None:
    suspects.was_loading("a")
    assert Suspects(tmp_path).is_proven("a")
    forget_suspects(tmp_path)
    assert not suspects.is_proven("a")
    forget_suspects(tmp_path)


def test_a_note_that_cannot_be_read_accuses_nobody(suspects: Suspects, tmp_path: Path) -> None:
    suspects.was_loading("a")
    (tmp_path / "suspects.json").write_text("{")
    assert not suspects.is_proven("a")
    suspects.was_loading("b")
    assert suspects.is_proven("b")
