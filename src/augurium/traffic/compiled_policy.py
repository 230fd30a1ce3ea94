"""A model's traffic policy, ready to be asked by every request."""

import random
from collections.abc import Callable, Sequence

from msgspec import Struct

from augurium.core.inference import Header
from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, source_of
from augurium.core.traffic_slots import SlotRun
from augurium.traffic.assignment import Assignment
from augurium.traffic.first_row import FirstRow, Inputs, number_text

RANDOM_BITS = 128


# structs of C, because each request makes them: a third of the time that named tuples take
class Asked(Struct, frozen=True, gc=False):
    """What a policy may look at; `inputs` are those of the first row, if they can be read."""

    header: Header
    inputs: Inputs | None = None
    request_id: str = ""


class Choice(Struct, frozen=True, gc=False):
    """Who answers, and under which name; `unit` is who or what was assigned to it, empty where a
    rule decided.
    """

    version: int
    variant: str
    unit: str = ""


Read = Callable[[Asked], str | None]


class CompiledPolicy:
    """Chooses a version for a request; the same one in every engine.

    `slots` are the places of the variants, `signature` that of the versions, and `model` the salt
    where the policy has none.
    """

    def __init__(
        self, model: str, policy: TrafficPolicy, slots: Sequence[SlotRun], signature: Signature
    ) -> None:
        self._rules = [
            _Rule(rule, _reader(rule.source, signature), policy) for rule in policy.rules
        ]
        self._unit = _reader(policy.unit, signature)
        self._assignment = Assignment(policy.salt or model, slots) if policy.split else None
        self._versions = {one.label: one.version for one in policy.split}
        sources = [policy.unit, *(rule.source for rule in policy.rules)]
        self.reads_features = any(source_of(source)[0] == "feature" for source in sources)

    def choose(self, asked: Asked) -> Choice | None:
        """Who answers; None where no rule applies and there is no split.

        A request without its unit is a unit of its own, assigned at random, so that shares are as
        they were decided whatever callers send.
        """
        for rule in self._rules:
            if rule.applies(asked):
                return rule.choice
        if self._assignment is None:
            return None
        unit = self._unit(asked)
        if unit is None:
            unit = _request_id(asked) or f"{random.getrandbits(RANDOM_BITS):x}"
        variant = self._assignment.variant(unit)
        return Choice(self._versions[variant], variant, unit)


class _Rule:
    def __init__(self, rule: TrafficRule, read: Read, policy: TrafficPolicy) -> None:
        self.choice = Choice(rule.version, policy.label_of(rule.version))
        self._read = read
        self._texts = frozenset(map(_value_text, rule.values))
        self._least = float("-inf") if rule.least is None else rule.least
        self._most = float("inf") if rule.most is None else rule.most

    def applies(self, asked: Asked) -> bool:
        found = self._read(asked)
        if found is None:
            return False
        if self._texts:
            return found in self._texts
        try:
            return self._least <= float(found) <= self._most
        except ValueError:
            return False


def _reader(source: str, signature: Signature) -> Read:
    kind, name = source_of(source)
    if kind == "header":
        return lambda asked: asked.header(name) or None
    if kind == "request":
        return _request_id
    row = FirstRow(signature, name)
    return lambda asked: None if asked.inputs is None else row.text(asked.inputs)


def _request_id(asked: Asked) -> str | None:
    return asked.request_id or asked.header("x-request-id") or None


def _value_text(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number_text(value)
