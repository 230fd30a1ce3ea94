"""How a rollout stands: what is kept of it in the registry, and what its judge may change of that.

Everything that a rollout does follows from its state, so that a control that is started anew goes
on from the state alone: the policy that the model shall have, and the outcome that is being carried
out.
"""

from typing import Any, Literal

from msgspec import Struct, structs

from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.registry.rollout_records import RolloutNote

MOST_POINTS = 240
# what a rollout ends with: the version is the default now; the default of before has all requests
# again; it has run its time and nothing is changed; it could not go on
Outcome = Literal["", "promoted", "rolled_back", "completed", "failed"]


class ArmPoint(Struct, frozen=True):
    """What one arm did in a while; the latencies are None where nobody was answered."""

    requests: int
    errors: int
    p50_ms: float | None = None
    p99_ms: float | None = None


class Point(Struct, frozen=True):
    """A while in the life of a rollout: `at` is its end in seconds since 1970. Weights in percent
    and arms are by variant.
    """

    at: float
    seconds: float
    weights: dict[str, float]
    arms: dict[str, ArmPoint] = {}


class RolloutState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a rollout.

    `policy` is what the model's traffic policy shall be now, `before` what it was and will be
    again. `outcome` is decided and being carried out, `winner` the version that it makes the
    default, by whom says `by`. `traffic_revision` is the newest that was set for it; `disturbed`
    says that somebody has set another policy since, which is left alone. `course` is what the judge
    remembers, `elapsed_s` the time in which it was looked at.
    """

    control: int
    policy: TrafficPolicy | None
    before: TrafficPolicy | None = None
    course: dict[str, Any] = {}
    disturbed: bool = False
    outcome: Outcome = ""
    winner: int | None = None
    by: str = ""
    traffic_revision: int = 0
    elapsed_s: float = 0.0
    verdict: dict[str, Any] = {}
    points: tuple[Point, ...] = ()

    @property
    def weights(self) -> dict[str, float]:
        """Percent of the units by variant."""
        split = self.policy.split if self.policy is not None else ()
        return {variant.label: variant.weight for variant in split}


class Move(Struct, frozen=True, kw_only=True):
    """What a judge decided: None leaves a field as it was.

    `paused` says that it waits for an operator. `urgent` is a decision that must not wait for the
    database.
    """

    course: dict[str, Any]
    split: tuple[Variant, ...] | None = None
    outcome: Outcome = ""
    winner: int | None = None
    paused: bool | None = None
    urgent: bool = False
    reason: str | None = None
    verdict: dict[str, Any] | None = None
    notes: tuple[RolloutNote, ...] = ()


def with_point(points: tuple[Point, ...], point: Point) -> tuple[Point, ...]:
    """One more point; when there are too many, each two become one, so that all of a rollout stays
    to be seen.
    """
    if len(points) < MOST_POINTS:
        return (*points, point)
    pairs = zip(points[::2], points[1::2], strict=True)
    return (*(_joined(one, other) for one, other in pairs), point)


def with_split(policy: TrafficPolicy | None, split: tuple[Variant, ...]) -> TrafficPolicy:
    """A policy with another split; rules, unit and salt stay."""
    return structs.replace(policy or TrafficPolicy(), split=split)


def _joined(one: Point, other: Point) -> Point:
    arms = {
        label: _both(one.arms.get(label), other.arms.get(label))
        for label in {**one.arms, **other.arms}
    }
    return Point(other.at, one.seconds + other.seconds, other.weights, arms)


def _both(one: ArmPoint | None, other: ArmPoint | None) -> ArmPoint:
    if one is None or other is None:
        return one or other or ArmPoint(0, 0)
    return ArmPoint(
        one.requests + other.requests,
        one.errors + other.errors,
        _worst(one.p50_ms, other.p50_ms),
        _worst(one.p99_ms, other.p99_ms),
    )


def _worst(one: float | None, other: float | None) -> float | None:
    """Of two whiles: the slower one is what is to be seen."""
    return max((value for value in (one, other) if value is not None), default=None)
