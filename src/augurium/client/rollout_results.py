"""What the server answers about rollouts, typed."""

from datetime import datetime
from typing import Any

import msgspec


class ArmPoint(msgspec.Struct, frozen=True):
    """What one arm of a rollout did in a while."""

    requests: int
    errors: int
    p50_ms: float | None = None
    p99_ms: float | None = None


class Point(msgspec.Struct, frozen=True):
    """A while in the life of a rollout: `at` is its end in seconds since 1970; weights in percent
    and arms are by variant.
    """

    at: float
    seconds: float
    weights: dict[str, float]
    arms: dict[str, ArmPoint] = {}


class RolloutSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout in a list: `kind` is canary, experiment or bandit, `version` the one that it is
    about, `control` the one that all requests go back to, `weights` percent by variant.
    """

    id: str
    model: str
    kind: str
    version: int
    control: int
    status: str
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None
    revision: int
    weights: dict[str, float] = {}


class Rollout(RolloutSummary, frozen=True, kw_only=True):
    """All that is known of a rollout: its plan, the newest verdict with its numbers, what its judge
    remembers, what its arms did in `elapsed_s` seconds, and what it waits for, if anything.
    """

    plan: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    course: dict[str, Any] = {}
    points: tuple[Point, ...] = ()
    elapsed_s: float = 0.0
    problem: str = ""


class Rollouts(msgspec.Struct, frozen=True):
    """The server's answer with a list of rollouts."""

    rollouts: tuple[RolloutSummary, ...]


class RolloutEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: `number` counts the events of all rollouts, `seq` those of this."""

    number: int
    rollout: str
    model: str
    seq: int
    at: datetime
    actor: str
    kind: str
    text: str
    numbers: dict[str, Any] = {}


class RolloutEvents(msgspec.Struct, frozen=True):
    """Events, the oldest first; `newest` is the number to go on after."""

    events: tuple[RolloutEvent, ...]
    newest: int
