"""A group of replicas under a policy: decides, acts, and keeps the log of why."""

from collections import Counter, deque

import msgspec

from augurium.core.clock import Clock
from augurium.scaling.decision import Decision, Memory, Moment, decide
from augurium.scaling.observation import Observation
from augurium.scaling.policy import ScalingPolicy
from augurium.scaling.scalable import Scalable

LOGGED = 200


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that changes something, or that changes nothing by another rule than before.

    `number` counts from 1, `done` says what was begun. The same again and again is logged once.
    """

    number: int
    decision: Decision
    done: str = ""


class Scaler:
    """The only one who changes the number of `group`."""

    def __init__(self, group: Scalable, policy: ScalingPolicy, clock: Clock) -> None:
        self.group = group
        self.policy = policy
        self.latest: Decision | None = None
        self.counts: Counter[str] = Counter(up=0, down=0, hold=0)
        self._clock = clock
        self._memory = Memory()
        self._log: deque[LoggedDecision] = deque(maxlen=LOGGED)
        self._logged = 0

    def step(self, seen: Observation | None) -> LoggedDecision | None:
        """Decides and acts; what it logged of that, or None for nothing new."""
        moment = Moment(self._clock.monotonic(), self._clock.now())
        current = self.group.current()
        decision, self._memory = decide(self.policy, self._memory, current, seen, moment)
        before, self.latest = self.latest, decision
        self.counts[decision.direction] += 1
        done = "" if decision.direction == "hold" else self.group.set(decision.wanted)
        if before is not None and _key(before) == _key(decision):
            return None
        self._logged += 1
        self._log.append(LoggedDecision(number=self._logged, decision=decision, done=done))
        return self._log[-1]

    def since(self, number: int) -> tuple[LoggedDecision, ...]:
        """What was logged after a number, oldest first; the oldest of all may be gone."""
        return tuple(logged for logged in self._log if logged.number > number)


def _key(decision: Decision) -> tuple[object, ...]:
    """What makes a decision news: a number, or the rule that keeps it."""
    if decision.direction == "hold":
        return (decision.cause,)
    return (decision.cause, decision.current, decision.wanted)
