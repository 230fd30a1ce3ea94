"""A load replayed against a policy and a simple model of replicas: what would have happened.

Replicas share one queue that loses nothing up to `max_queue`. What arrives in a tick and is more
than they can do waits (a fluid queue); below that, the mean wait is that of M/M/c by Sakasegawa's
approximation. Source: H. Sakasegawa, "An approximation formula Lq = a rho^b / (1 - rho)", 1977.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.scaling.decision import Decision, Memory, Moment, decide
from augurium.scaling.load import LoadPoint
from augurium.scaling.observation import Observation
from augurium.scaling.policy import ScalingPolicy

MOST_TICKS = 2_000_000
# the approximation has no end at full load, and there the fluid queue takes over
FULL = 0.99
# a Monday, so that schedules of weekdays hold
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)


class ReplicaModel(msgspec.Struct, frozen=True, kw_only=True):
    """One replica does `capacity` requests/s with all of its core, `start_s` after it was wanted.

    A tick is `tick_s`; the policy decides every `interval_s`. A request that waits longer than
    `patience_s` is counted as overload; above `max_queue` requests per replica none is accepted.
    """

    capacity: float
    start_s: float = 2.0
    tick_s: float = 1.0
    interval_s: float = 2.0
    patience_s: float = 0.1
    max_queue: float = 2048.0

    def check(self) -> None:
        """Raises InvalidArgument."""
        if not (self.capacity > 0 and self.start_s >= 0 and self.tick_s > 0):
            raise InvalidArgument("simulation: a capacity and a tick above 0 are needed")
        if not (self.interval_s >= self.tick_s and self.patience_s > 0 and self.max_queue >= 0):
            raise InvalidArgument("simulation: the interval must not be shorter than a tick")


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One tick: what arrived per second, who was wanted and ready, and how long requests waited."""

    t: float
    rate: float
    wanted: int
    ready: int
    utilization: float
    delay_s: float
    refused: float = 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A whole simulation; shares are of time and of requests."""

    duration_s: float
    requests: float
    overloaded_share: float
    refused_share: float
    queue_delay_p99_s: float
    replica_hours: float
    fewest: int
    most: int
    changes: int
    turns: int


class Simulation(NamedTuple):
    """Every tick, every decision that changed something, and what they come to."""

    ticks: list[Tick]
    decisions: list[Decision]
    summary: Summary


def simulate(
    policy: ScalingPolicy,
    load: Sequence[LoadPoint],
    model: ReplicaModel,
    start: datetime = FIRST_DAY,
) -> Simulation:
    """Replays `load` from the policy's smallest number on. Raises InvalidArgument."""
    policy.check()
    model.check()
    duration_s = load[-1].t + (load[-1].t - load[-2].t if len(load) > 1 else model.tick_s)
    if duration_s / model.tick_s > MOST_TICKS:
        raise InvalidArgument(f"simulation: at most {MOST_TICKS} ticks; make the ticks longer")
    group = _Group(model, policy.bounds(start).low)
    memory, decisions, ticks = Memory(), [], []
    seen, next_decision, place = _Seen(), model.interval_s, 0
    for number in range(math.ceil(duration_s / model.tick_s)):
        t = number * model.tick_s
        while place + 1 < len(load) and load[place + 1].t <= t:
            place += 1
        ticks.append(group.pass_tick(t, load[place].rate))
        seen.add(ticks[-1])
        end = t + model.tick_s
        if end + 1e-9 < next_decision:
            continue
        next_decision = end + model.interval_s
        moment = Moment(end, start + timedelta(seconds=end))
        observation = seen.observation(end, group)
        decision, memory = decide(policy, memory, group.wanted, observation, moment)
        seen = _Seen()
        if decision.direction != "hold":
            decisions.append(decision)
            group.set(decision.wanted, end)
    return Simulation(ticks, decisions, _summary(ticks, decisions, model))


class _Group:
    """Replicas that start, serve and leave, and what waits for them."""

    def __init__(self, model: ReplicaModel, number: int) -> None:
        self._model = model
        self._ready_at = [0.0] * number
        self.waiting = 0.0

    @property
    def wanted(self) -> int:
        return len(self._ready_at)

    def ready(self, t: float) -> int:
        return sum(at <= t for at in self._ready_at)

    def set(self, number: int, t: float) -> None:
        """Those that were started last leave first."""
        while len(self._ready_at) < number:
            self._ready_at.append(t + self._model.start_s)
        del self._ready_at[number:]

    def pass_tick(self, t: float, rate: float) -> Tick:
        tick_s, capacity = self._model.tick_s, self._model.capacity
        ready = self.ready(t)
        able, arrived = ready * capacity * tick_s, rate * tick_s
        served = min(able, self.waiting + arrived)
        left = self.waiting + arrived - served
        self.waiting = min(left, self._model.max_queue * max(1, self.wanted))
        used = served / able if able else 0.0
        return Tick(
            t=t,
            rate=rate,
            wanted=self.wanted,
            ready=ready,
            utilization=used,
            delay_s=self._delay_s(ready, used, arrived),
            refused=left - self.waiting,
        )

    def _delay_s(self, ready: int, used: float, arrived: float) -> float:
        if not ready:
            # as long as the next one takes, at most
            return self._model.start_s if arrived or self.waiting else 0.0
        rho: float = min(used, FULL)
        idle_wait: float = rho ** math.sqrt(2 * (ready + 1)) / (
            ready * (1 - rho) * self._model.capacity
        )
        return idle_wait + self.waiting / (ready * self._model.capacity)


class _Seen:
    """What a policy is shown of the ticks since its last decision."""

    def __init__(self) -> None:
        self._ticks: list[Tick] = []

    def add(self, tick: Tick) -> None:
        self._ticks.append(tick)

    def observation(self, at: float, group: _Group) -> Observation:
        count = len(self._ticks)
        return Observation(
            at=at,
            measured=self._ticks[-1].ready,
            request_rate=sum(tick.rate for tick in self._ticks) / count,
            in_flight=group.waiting
            + sum(tick.utilization * tick.ready for tick in self._ticks) / count,
            queue_delay_s=sum(tick.delay_s for tick in self._ticks) / count,
            cpu_utilization=sum(tick.utilization for tick in self._ticks) / count,
            gpu_utilization=sum(tick.utilization for tick in self._ticks) / count,
        )


def _summary(ticks: list[Tick], decisions: list[Decision], model: ReplicaModel) -> Summary:
    requests = sum(tick.rate for tick in ticks) * model.tick_s
    turns = sum(one.direction != other.direction for one, other in pairwise(decisions))
    return Summary(
        duration_s=len(ticks) * model.tick_s,
        requests=requests,
        overloaded_share=sum(tick.delay_s > model.patience_s for tick in ticks) / len(ticks),
        refused_share=sum(tick.refused for tick in ticks) / requests if requests else 0.0,
        queue_delay_p99_s=_p99(ticks),
        replica_hours=sum(tick.wanted for tick in ticks) * model.tick_s / 3600,
        fewest=min(tick.wanted for tick in ticks),
        most=max(tick.wanted for tick in ticks),
        changes=len(decisions),
        turns=turns,
    )


def _p99(ticks: list[Tick]) -> float:
    """Of the requests: every tick counts as often as requests arrived in it."""
    ordered = sorted(ticks, key=lambda tick: tick.delay_s)
    left = 0.99 * sum(tick.rate for tick in ticks)
    for tick in ordered:
        left -= tick.rate
        if left <= 0:
            return tick.delay_s
    return ordered[-1].delay_s
