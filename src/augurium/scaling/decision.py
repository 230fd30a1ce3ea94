"""One decision: from observations, targets and what was decided before to a number of replicas.

`decide` is a pure function: the same arguments give the same decision, in a node, in a cluster and
in the simulator.
"""

import math
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from augurium.scaling.observation import Observation
from augurium.scaling.policy import Bounds, Pace, ScalingPolicy
from augurium.scaling.votes import Vote, votes

Direction = Literal["up", "down", "hold"]
Cause = Literal["target", "bounds", "window", "pace", "missing", "idle", "steady"]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How many there were, how many there shall be, and why.

    `cause` is the rule that had the last word, `reason` a sentence, `numbers` what was measured and
    what it asked for.
    """

    at: datetime
    current: int
    wanted: int
    cause: Cause
    reason: str
    low: int
    high: int
    numbers: dict[str, float] = {}

    @property
    def direction(self) -> Direction:
        """Whether the number grows."""
        if self.wanted == self.current:
            return "hold"
        return "up" if self.wanted > self.current else "down"


class Stamped(NamedTuple):
    """A number of replicas, or a change of it, and when (monotonic seconds)."""

    at: float
    number: int


class Memory(msgspec.Struct, frozen=True):
    """What earlier decisions leave to the next: wishes, changes, and since when nothing came."""

    wishes: tuple[Stamped, ...] = ()
    changes: tuple[Stamped, ...] = ()
    idle_since: float | None = None


class Moment(NamedTuple):
    """Now, by the monotonic clock and by the wall clock."""

    at: float
    now: datetime


class _Wish(NamedTuple):
    number: int
    cause: Cause
    reason: str


def decide(
    policy: ScalingPolicy,
    memory: Memory,
    current: int,
    seen: Observation | None,
    moment: Moment,
) -> tuple[Decision, Memory]:
    """The number of replicas from now on, and the memory for the next decision.

    `seen` is None, or older than `policy.stale_s`, where nothing could be measured; such a number
    never shrinks.
    """
    at, bounds = moment.at, policy.bounds(moment.now)
    fresh = seen if seen is not None and at - seen.at <= policy.stale_s else None
    found = votes(policy, current, fresh) if fresh else []
    idle_since = _idle_since(memory, fresh)
    wish = _wish(policy, current, found, fresh)
    if policy.smallest == 0 and fresh is not None:
        wish = _awake(policy, current, wish, fresh, idle_since, at)
    allowed = _bounded(wish, wish.reason, bounds)
    wishes = _within(memory.wishes, at, max(policy.up.window_s, policy.down.window_s))
    # before the first wish there is what is: a start shrinks nothing before the window has passed
    wishes = (*(wishes or (Stamped(at, current),)), Stamped(at, allowed.number))
    changes = _within(memory.changes, at, max(policy.up.period_s, policy.down.period_s))
    calm = _stabilised(policy, current, wishes, at, allowed)
    paced = _paced(policy, current, changes, at, calm)
    final = _bounded(paced, wish.reason, bounds)
    if final.number < current and fresh is None:
        # more than allowed were there before as well; who is needed is not known
        final = wish._replace(number=current)
    decision = Decision(
        at=moment.now,
        current=current,
        wanted=final.number,
        cause=final.cause,
        reason=final.reason,
        low=bounds.low,
        high=bounds.high,
        numbers=_numbers(found, fresh, at),
    )
    if final.number != current:
        changes = (*changes, Stamped(at, final.number - current))
    return decision, Memory(wishes, changes, idle_since)


def _wish(
    policy: ScalingPolicy, current: int, found: list[Vote], fresh: Observation | None
) -> _Wish:
    if fresh is None:
        text = f"nothing was measured in the last {policy.stale_s:g} s: the number stays"
        return _Wish(current, "missing", text)
    known = [vote for vote in found if vote.value is not None]
    missing = [vote for vote in found if vote.value is None]
    if not known:
        cause: Cause = "missing" if missing else "steady"
        unknown = f"{', '.join(map(str, missing))}: the number stays"
        return _Wish(current, cause, unknown if missing else "there is no target")
    most = max(known, key=lambda vote: vote.needed)
    if most.needed < current and missing:
        text = f"{', '.join(map(str, missing))}: without it nothing is taken away"
        return _Wish(current, "missing", text)
    if most.needed == current:
        return _Wish(current, "steady", f"{most}: {current} is right")
    return _Wish(most.needed, "target", f"{most} asks for {most.needed}")


def _awake(
    policy: ScalingPolicy,
    current: int,
    wish: _Wish,
    fresh: Observation,
    idle_since: float | None,
    at: float,
) -> _Wish:
    """Between none and one only requests decide: one wakes the first, their absence ends the
    last.
    """
    if idle_since is None:
        if current == 0 and _demand(fresh):
            return _Wish(max(1, wish.number), "target", "requests arrived: it wakes")
        return wish._replace(number=max(min(1, current), wish.number))
    idle_s = at - idle_since
    if current == 0 or idle_s >= policy.idle_s:
        return _Wish(0, "idle", f"no request for {idle_s:.0f} s: it sleeps")
    return wish._replace(number=max(1, wish.number))


def _demand(seen: Observation) -> bool:
    return bool(seen.request_rate or seen.in_flight)


def _idle_since(memory: Memory, fresh: Observation | None) -> float | None:
    """Since when there was certainly no request; None if there was one, or nobody knows."""
    if fresh is None or _demand(fresh) or None in (fresh.request_rate, fresh.in_flight):
        return None
    return fresh.at if memory.idle_since is None else memory.idle_since


def _stabilised(
    policy: ScalingPolicy, current: int, wishes: tuple[Stamped, ...], at: float, wish: _Wish
) -> _Wish:
    """Up to the smallest wish of the window, down to the largest one."""
    newest = wishes[-1].number
    if policy.smallest == 0 and {current, newest} == {0, 1}:
        # to sleep and to wake have a window of their own: `idle_s`, and none
        return wish._replace(number=newest)
    least = min([newest, *(item.number for item in _within(wishes, at, policy.up.window_s))])
    most = max([newest, *(item.number for item in _within(wishes, at, policy.down.window_s))])
    number = max(current, least) if least > current else min(current, most)
    if number == newest:
        return wish._replace(number=number)
    window_s = policy.up.window_s if newest > current else policy.down.window_s
    text = f"{wish.reason}; it is done when no wish of {window_s:g} s says otherwise"
    return _Wish(number, "window", text)


def _paced(
    policy: ScalingPolicy,
    current: int,
    changes: tuple[Stamped, ...],
    at: float,
    wish: _Wish,
) -> _Wish:
    if wish.number == current:
        return wish
    sign = 1 if wish.number > current else -1
    pace = policy.up if sign > 0 else policy.down
    recent = [item.number * sign for item in _within(changes, at, pace.period_s)]
    changed = sum(number for number in recent if number > 0)
    room = _room(pace, current - sign * changed)
    limit = current + sign * max(0, room - changed)
    number = min(wish.number, limit) if sign > 0 else max(wish.number, limit)
    if number == wish.number:
        return wish
    text = f"{wish.reason}; at most {room} may change in {pace.period_s:g} s"
    return _Wish(number, "pace", text)


def _room(pace: Pace, start: int) -> int:
    """How many may change in a period that began with `start`."""
    return max(pace.count, math.ceil(start * pace.share - 1e-9))


def _bounded(wish: _Wish, reason: str, bounds: Bounds) -> _Wish:
    number = min(max(wish.number, bounds.low), bounds.high)
    if number == wish.number:
        return wish
    why = f" by schedule '{bounds.schedule}'" if bounds.schedule else ""
    limit = f"at least {bounds.low}" if number > wish.number else f"at most {bounds.high}"
    return _Wish(number, "bounds", f"{reason}; {limit} shall be there{why}")


def _within(items: tuple[Stamped, ...], at: float, seconds: float) -> tuple[Stamped, ...]:
    return tuple(item for item in items if at - item.at < seconds)


def _numbers(found: list[Vote], fresh: Observation | None, at: float) -> dict[str, float]:
    numbers: dict[str, float] = {}
    if fresh is not None:
        for name in fresh.__struct_fields__:
            value = getattr(fresh, name)
            if value is not None and name != "at":
                numbers[name] = round(float(value), 6)
        numbers["age_s"] = round(at - fresh.at, 3)
    for vote in found:
        if vote.value is not None:
            numbers[f"{vote.measure}_needs"] = vote.needed
    return numbers
