"""Experiments and bandits as courses of rollouts: when they ask, what they do about the answer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.control.experiment_course import ExperimentCourse
from augurium.control.rollout_course import Watched
from augurium.control.rollout_state import Move, RolloutState, with_split
from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument
from augurium.core.experiment_design import DAY_S, Bandit, ExperimentDesign, ExperimentMetric
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import ExperimentSums
from tests.support.experiments import BOUGHT, bought, design

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = Model(name="ranker", created_at=NOW, default_version=1, deployed_versions=(1, 2))


class Experiment:
    """A course, what the records say, and the rollout that it makes."""

    def __init__(self, made: ExperimentDesign, kind: str = "experiment") -> None:
        self.clock = ManualClock(NOW)
        self.found: ExperimentSums = bought(np.random.default_rng(1), 100, 0.1, 0.1)
        self.asked: list[tuple[Sequence[ExperimentPhase], float]] = []
        self.course = ExperimentCourse(self._sums, self.clock, kind)
        plan = msgspec.to_builtins(made)
        begun = self.course.begin(MODEL, plan | {"version": 2})
        self.rollout = Rollout(
            id="ab" * 16,
            model="ranker",
            kind=kind,
            version=begun.version,
            plan=begun.plan,
            state={},
            status="running",
            created_at=NOW,
            created_by="ann",
        )
        self.state = RolloutState(
            control=begun.control, policy=with_split(None, begun.split), course=begun.course
        )

    async def after(self, seconds: float) -> Move | None:
        """What it decides so much later; its memory goes through JSON as in the registry."""
        self.clock.advance(seconds)
        move = await self.course.advance(self.rollout, self.state, Watched((), 0.0))
        if move is not None:
            self.take(move)
        return move

    def take(self, move: Move) -> None:
        course = msgspec.json.decode(msgspec.json.encode(move.course))
        self.state = msgspec.structs.replace(self.state, course=course)

    async def _sums(
        self,
        model: str,
        made: ExperimentDesign,
        phases: Sequence[ExperimentPhase],
        until: float,
    ) -> ExperimentSums:
        self.asked.append((phases, until))
        return self.found


async def test_the_records_are_read_a_few_times_between_two_looks() -> None:
    one = Experiment(design())

    assert await one.after(30) is None
    assert await one.after(600) is not None
    assert len(one.asked) == 1
    assert one.asked[0][1] == pytest.approx(NOW.timestamp() + 630)


async def test_a_short_experiment_takes_its_looks_when_they_are_due() -> None:
    one = Experiment(design(days=70 / DAY_S, looks=7))
    one.found = bought(np.random.default_rng(2), 5_000, 0.1, 0.1)
    moves = [await one.after(2.0) for _ in range(36)]

    assert len(one.asked) == 36
    looks = [note.text[:9] for move in moves if move for note in move.notes if note.kind == "look"]
    assert looks == [f"look {number} of" for number in range(1, 8)]


async def test_a_look_is_remembered_with_its_effect_for_the_picture() -> None:
    one = Experiment(design())
    one.found = bought(np.random.default_rng(2), 5_000, 0.1, 0.1)
    move = await one.after(1.01 * DAY_S)

    assert move is not None
    (note,) = move.notes
    assert note.kind == "look"
    assert note.text.startswith("look 1 of 7")
    (look,) = move.course["history"]
    assert (look["variant"], look["look"]) == ("v2", 1)
    assert look["bound"] > 3
    assert move.outcome == ""


async def test_the_picture_is_of_the_metric_that_decides() -> None:
    seen = ExperimentMetric("seen", kind="continuous", source="score")
    one = Experiment(design(metrics=(seen, BOUGHT), primary=("bought",)))
    one.found = bought(np.random.default_rng(2), 5_000, 0.1, 0.1)
    move = await one.after(1.01 * DAY_S)

    assert move is not None
    (look,) = move.course["history"]
    assert look["metric"] == "bought"
    assert look["z"] != 0


async def test_a_winner_completes_it_and_is_left_to_people_to_promote() -> None:
    one = Experiment(design())
    one.found = bought(np.random.default_rng(2), 40_000, 0.1, 0.11)
    move = await one.after(7 * DAY_S)

    assert move is not None
    assert (move.outcome, move.reason) == ("completed", "v2 is better than v1.")
    assert move.verdict is not None
    assert (move.verdict["outcome"], move.verdict["variant"]) == ("ship", "v2")


async def test_harm_rolls_back_without_delay() -> None:
    one = Experiment(design())
    one.found = bought(np.random.default_rng(2), 40_000, 0.1, 0.08)
    move = await one.after(7 * DAY_S)

    assert move is not None
    assert (move.outcome, move.urgent) == ("rolled_back", True)


async def test_a_paused_experiment_does_not_end_by_itself() -> None:
    one = Experiment(design())
    paused = one.course.obey(one.rollout, one.state, "pause", "lunch", 0.0)
    one.take(paused)
    one.found = bought(np.random.default_rng(2), 40_000, 0.1, 0.11)
    move = await one.after(7 * DAY_S)

    assert paused.paused is True
    assert move is not None
    assert move.outcome == ""
    with pytest.raises(Conflict):
        one.course.obey(one.rollout, one.state, "pause", "", 0.0)


async def test_operators_end_it_either_way() -> None:
    one = Experiment(design())
    promoted = one.course.obey(one.rollout, one.state, "promote", "", 0.0)
    aborted = one.course.obey(one.rollout, one.state, "abort", "", 0.0)

    assert (promoted.outcome, promoted.winner) == ("promoted", 2)
    assert (aborted.outcome, aborted.urgent) == ("rolled_back", True)


async def test_a_peek_tells_and_remembers_nothing() -> None:
    one = Experiment(design())
    one.found = bought(np.random.default_rng(2), 5_000, 0.1, 0.1)
    before = one.state
    told = await one.course.peek(one.rollout, one.state)

    assert told["outcome"] == "running"
    assert "run" not in told
    assert one.state == before


async def test_a_bandit_moves_weights_in_its_own_time_and_begins_a_phase() -> None:
    made = design(bandit=Bandit(every_s=3600.0, floor=0.05))
    one = Experiment(made, "bandit")
    one.found = bought(np.random.default_rng(2), 20_000, 0.1, 0.2)
    early = await one.after(600)
    due = await one.after(3000)

    assert early is not None
    assert early.split is None
    assert due is not None
    assert due.split is not None
    weights = {variant.label: variant.weight for variant in due.split}
    assert weights["v2"] == pytest.approx(95, abs=0.1)
    assert [note.kind for note in due.notes] == ["weights"]
    await one.after(3600)
    phases, _ = one.asked[-1]
    assert [phase.shares["v2"] for phase in phases] == pytest.approx([0.5, 0.95], abs=0.01)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"hypothesis": " "}, "hypothesis"),
        ({"speed": 1}, "speed"),
        ({"version": 7}, "no treatment"),
        ({"bandit": {"every_s": 3600.0}}, "start it as a bandit"),
    ],
)
def test_a_design_that_cannot_be_is_refused(plan: dict[str, Any], said: str) -> None:
    one = Experiment(design())

    with pytest.raises(InvalidArgument, match=said):
        one.course.begin(MODEL, msgspec.to_builtins(design()) | plan)


def test_a_node_that_records_no_predictions_takes_no_experiment() -> None:
    async def sums(*_: object) -> ExperimentSums:
        raise AssertionError("nothing to read")

    course = ExperimentCourse(sums, ManualClock(NOW), recorded=False)

    with pytest.raises(InvalidArgument, match="this node records none"):
        course.begin(MODEL, msgspec.to_builtins(design()))


def test_an_experiment_needs_a_default_to_go_back_to() -> None:
    one = Experiment(design())
    model = msgspec.structs.replace(MODEL, default_version=None)

    with pytest.raises(Conflict, match="no default version"):
        one.course.begin(model, msgspec.to_builtins(design()))
