"""Canaries as courses of rollouts: what is asked of feedback, and what follows of it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from augurium.control.canary_course import CanaryCourse
from augurium.control.canary_quality import QualityQuestion
from augurium.control.rollout_course import Watched
from augurium.control.rollout_state import Move, RolloutState, with_split
from augurium.control.variant_ticks import Arm, Tick
from augurium.core.errors import Conflict
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout
from augurium.serving.metrics import VersionMetrics
from augurium.serving.variant_metrics import VariantMetrics
from augurium.statistics.moments import Moments
from augurium.traffic.canary_evidence import Quality

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = Model(name="fraud", created_at=NOW, default_version=1, deployed_versions=(1, 2))
PLAN: dict[str, Any] = {
    "version": 2,
    "steps": [50, 100],
    "hold_s": 4,
    "least_requests": 100,
    "warm_up_s": 2,
    "margin_pp": 5,
}
QUALITY = {"name": "bought", "margin": 0.05}


class Canary:
    """A course, what is known of outcomes, and the rollout that it makes."""

    def __init__(self, **plan: Any) -> None:
        self.known: Quality | None = None
        self.asked: list[QualityQuestion] = []
        self.course = CanaryCourse(self._newest)
        begun = self.course.begin(MODEL, PLAN | plan)
        self.rollout = Rollout(
            id="ab" * 16,
            model="fraud",
            kind="canary",
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
        self._now = 0.0

    async def ticks(self, count: int) -> Move:
        """The last of so many moves after good ticks; its memory goes through JSON."""
        last = Move(course={})
        for _ in range(count):
            self._now += 2
            counted = {Arm(number, f"v{number}"): answered(number) for number in (1, 2)}
            tick = Tick(round(self._now), NOW.timestamp() + self._now, 2.0, counted)
            watched = Watched((tick,), self._now, tick.at)
            move = await self.course.advance(self.rollout, self.state, watched)
            assert move is not None
            course = msgspec.json.decode(msgspec.json.encode(move.course))
            self.state = msgspec.structs.replace(self.state, course=course)
            last = move
            if move.outcome:
                break
        return last

    def _newest(self, question: QualityQuestion) -> Quality | None:
        self.asked.append(question)
        return self.known


def answered(version: int) -> VariantMetrics:
    metrics = VersionMetrics("fraud", version)
    for _ in range(500):
        metrics.ended("ok", 0.01, f"v{version}")
    return metrics.variants[f"v{version}"]


def bought(*shares: float, n: int = 5000) -> Quality:
    return Quality(*(Moments(n, share, n * share * (1 - share)) for share in shares))


async def test_worse_outcomes_roll_back_a_version_that_answers_well() -> None:
    canary = Canary(quality=QUALITY)
    await canary.ticks(4)
    canary.known = bought(0.8, 0.5)
    move = await canary.ticks(1)

    assert (move.outcome, move.urgent) == ("rolled_back", True)
    assert (move.verdict or {})["cause"] == "quality"
    assert "bought 0.5 beside 0.8" in (move.reason or "")


async def test_it_is_held_until_its_outcomes_are_known_and_promoted_if_they_are_as_good() -> None:
    canary = Canary(quality=QUALITY)
    held = await canary.ticks(20)
    canary.known = bought(0.8, 0.8)
    # once known they stay known, though no reading brings them again
    await canary.ticks(1)
    canary.known = None
    move = await canary.ticks(10)

    assert not held.outcome
    assert "100 are needed" in str((held.verdict or {})["findings"])
    assert move.outcome == "promoted"


async def test_the_outcomes_are_those_of_both_arms_since_the_rollout_began() -> None:
    canary = Canary(quality=QUALITY)
    await canary.ticks(1)

    assert canary.asked == [QualityQuestion("fraud", "bought", "v1", "v2", NOW.timestamp())]


def test_quality_is_refused_where_nothing_is_recorded() -> None:
    course = CanaryCourse(lambda _: None, recorded=False)

    assert course.begin(MODEL, PLAN).version == 2
    with pytest.raises(Conflict, match=r"prediction_log\.enabled"):
        course.begin(MODEL, PLAN | {"quality": QUALITY})


async def test_without_quality_in_the_plan_nobody_is_asked() -> None:
    canary = Canary()

    assert (await canary.ticks(20)).outcome == "promoted"
    assert not canary.asked


@pytest.mark.parametrize(("plan", "exposes"), [({}, False), ({"quality": QUALITY}, True)])
def test_every_request_is_recorded_if_outcomes_are_judged(
    plan: dict[str, Any], exposes: bool
) -> None:
    canary = Canary(**plan)

    assert canary.course.exposes(canary.rollout.plan) is exposes
