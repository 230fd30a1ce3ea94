"""Which version of a model answers a request that names none: rules, and a split by weight.

Decided by the model's owner at any time; every decision is a numbered revision that can be brought
back. An explicit version or alias in a request is stronger than all of it.
"""

from collections import Counter
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import MAX_VERSION, check_name
from augurium.core.shadow import Shadow, check_shadows
from augurium.core.traffic_slots import SLOTS, SlotRun

UNIT_HEADER = "augurium-unit"
# the header of an answer, and the parameter of one over gRPC
VARIANT = "augurium-variant"
# of a variant or a rule
VersionOf = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
# `header:NAME` or `feature:NAME`
Source = Annotated[str, Meta(min_length=1, max_length=300)]
# how far a weight may be from a whole number of slots: what is left of 0.1 + 0.2
ROUNDING = 1e-6


class Variant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A share of the units, and the version that answers them.

    Two variants may have the same version, so that a split can be tested against itself.
    """

    version: VersionOf
    weight: Annotated[float, Meta(ge=0, le=100)]
    """Percent of the units, in steps of 0.01."""
    name: Annotated[str, Meta(max_length=128)] = ""
    """Empty for `v<version>`."""

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or f"v{self.version}"

    @property
    def slots(self) -> int:
        """The weight in slots of 0.01 percent."""
        return round(self.weight * SLOTS / 100)


class TrafficRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Sends requests to a version by what they say; `values` or a range, not both."""

    source: Source
    """`header:NAME`, or `feature:NAME` of the first row."""
    version: VersionOf
    values: Annotated[tuple[str | int | float | bool, ...], Meta(max_length=1000)] = ()
    """It is one of these."""
    least: float | None = None
    """It is a number, and at least this."""
    most: float | None = None
    """It is a number, and at most this."""


class TrafficPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first rule that applies decides, else the split; without either the default version."""

    split: Annotated[tuple[Variant, ...], Meta(max_length=100)] = ()
    """Weights add up to 100; empty for rules alone."""
    unit: Source = f"header:{UNIT_HEADER}"
    """Who or what is assigned: `header:NAME`, `feature:NAME` of the first row, or `request` for the
    request's id. A request without it is a unit of its own.
    """
    rules: Annotated[tuple[TrafficRule, ...], Meta(max_length=100)] = ()
    """Asked in this order, before the split."""
    salt: Annotated[str, Meta(max_length=128)] = ""
    """Units are assigned anew with another one; empty for the model's name."""
    shadows: Annotated[tuple[Shadow, ...], Meta(max_length=10)] = ()
    """Versions that are given copies of requests which name no version."""

    @property
    def versions(self) -> tuple[int, ...]:
        """Every version that it names, in order."""
        named = {variant.version for variant in self.split} | {rule.version for rule in self.rules}
        return tuple(sorted(named | {shadow.version for shadow in self.shadows}))

    def label_of(self, version: int) -> str:
        """The variant that a rule leads to: the first with this version."""
        found = (variant.label for variant in self.split if variant.version == version)
        return next(found, f"v{version}")


class TrafficRevision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy as it was decided: who, when and why. 0 is before the first one.

    `policy` is None where there is none, and `slots` are the places of its variants, which the next
    policy starts from. `based_on` is the revision that was brought back, if one was.
    """

    revision: int = 0
    policy: TrafficPolicy | None = None
    slots: tuple[SlotRun, ...] = ()
    at: datetime | None = None
    actor: str = ""
    reason: str = ""
    based_on: int | None = None


def check_policy(policy: TrafficPolicy) -> None:
    """Raises InvalidArgument for a policy that cannot be meant."""
    if not policy.split and not policy.rules and not policy.shadows:
        raise InvalidArgument(
            "a policy needs a split or a rule, or a shadow; remove the policy to have the default"
            " version answer"
        )
    _check_split(policy.split)
    check_shadows(policy.shadows)
    _check_source("unit", policy.unit, also_request=True)
    for number, rule in enumerate(policy.rules, 1):
        _check_rule(f"rule {number}", rule)


def source_of(text: str) -> tuple[str, str]:
    """Kind and name of `header:NAME` or `feature:NAME`; the kind alone of `request`."""
    kind, _, name = text.partition(":")
    return kind, name.lower() if kind == "header" else name


def _check_split(split: tuple[Variant, ...]) -> None:
    for variant in split:
        check_name("variant name", variant.label)
        if abs(variant.weight * SLOTS / 100 - variant.slots) > ROUNDING:
            raise InvalidArgument(
                f"weight {variant.weight} of '{variant.label}' is finer than 0.01 %; round it"
            )
    name, times = next(iter(Counter(v.label for v in split).most_common(1)), ("", 0))
    if times > 1:
        raise InvalidArgument(f"variant '{name}' is there {times} times; give each its own name")
    total = sum(variant.slots for variant in split)
    if split and total != SLOTS:
        raise InvalidArgument(f"the weights add up to {total * 100 / SLOTS:g} %; make it 100 %")


def _check_source(what: str, text: str, also_request: bool = False) -> None:
    kind, name = source_of(text)
    if also_request and text == "request":
        return
    if kind not in ("header", "feature") or not name:
        other = " or request" if also_request else ""
        raise InvalidArgument(
            f"{what} {text[:64]!r} is not known; expected header:NAME or feature:NAME{other}"
        )


def _check_rule(what: str, rule: TrafficRule) -> None:
    _check_source(f"{what}: source", rule.source)
    ranged = rule.least is not None or rule.most is not None
    if ranged == bool(rule.values):
        raise InvalidArgument(f"{what} needs either values, or least and most")
    if rule.least is not None and rule.most is not None and not rule.least <= rule.most:
        raise InvalidArgument(f"{what}: least {rule.least:g} is above most {rule.most:g}")
