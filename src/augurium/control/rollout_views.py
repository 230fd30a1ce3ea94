"""Rollouts as the management API tells them."""

from datetime import datetime
from typing import Any

from msgspec import Struct, convert, to_builtins

from augurium.control.rollout_state import Point, RolloutState
from augurium.registry.rollout_records import Rollout, RolloutEvent


class RolloutSummary(Struct, frozen=True, kw_only=True):
    """A rollout in a list: `weights` are percent of the units by variant, `control` the version
    that all requests go back to. It is active until it has `ended_at`.
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
    ended_at: datetime | None
    revision: int
    weights: dict[str, float]


class RolloutDetail(RolloutSummary, frozen=True, kw_only=True):
    """A rollout with all that is known of it.

    `verdict` is the newest, `course` what its judge remembers, `points` what its arms did from its
    beginning on, of `elapsed_s` seconds in which it was looked at. `problem` says what it waits for
    if something that it needs cannot be had now.
    """

    plan: dict[str, Any]
    verdict: dict[str, Any]
    course: dict[str, Any]
    points: tuple[Point, ...]
    elapsed_s: float
    problem: str = ""


class RolloutList(Struct, frozen=True):
    """Rollouts, the newest first."""

    rollouts: list[RolloutSummary]


class EventList(Struct, frozen=True):
    """Events, the oldest first; `newest` is the number to go on after."""

    events: list[RolloutEvent]
    newest: int


def summary(rollout: Rollout) -> RolloutSummary:
    """What a list shows."""
    return convert(_fields(rollout), RolloutSummary)


def detail(rollout: Rollout, state: RolloutState | None = None, problem: str = "") -> RolloutDetail:
    """All of it; `state` is newer than what was written down, if it is given."""
    now = convert(rollout.state, RolloutState) if state is None else state
    told = to_builtins({name: getattr(now, name) for name in ("verdict", "course", "points")})
    fields = {"plan": rollout.plan, "elapsed_s": now.elapsed_s, "problem": problem} | told
    return convert(_fields(rollout) | fields, RolloutDetail)


def _fields(rollout: Rollout) -> dict[str, Any]:
    state = convert(rollout.state, RolloutState)
    names = RolloutSummary.__struct_fields__
    fields = {name: getattr(rollout, name) for name in names if hasattr(rollout, name)}
    return fields | {"control": state.control, "weights": state.weights}
