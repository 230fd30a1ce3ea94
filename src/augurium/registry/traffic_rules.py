"""The rules of traffic policies: what one may name, and what may not be taken from under it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from augurium.core.compatibility import difference
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision, check_policy, source_of
from augurium.core.traffic_slots import rearranged
from augurium.registry.draft_limits import check_reason
from augurium.registry.records import AuditEntry, Model, TrafficChange, Version
from augurium.registry.rules import check_live

# a version of the model by its number. Raises NotFound
FindVersion = Callable[[int], Version]


def next_revision(
    model: Model, change: TrafficChange, find: FindVersion, actor: str, at: datetime
) -> TrafficRevision | None:
    """The revision that a change makes; None where the policy is that already.

    Raises InvalidArgument and Conflict.
    """
    check_reason(change.reason)
    check_live(model)
    current = current_revision(model)
    _check_newest(model.name, current, change.based_on_revision)
    policy = change.policy
    if policy is not None:
        check_policy(policy)
        _check_versions(model, policy, find)
    if policy == current.policy:
        return None
    wanted = {variant.label: variant.slots for variant in policy.split} if policy else {}
    return TrafficRevision(
        revision=current.revision + 1,
        policy=policy,
        slots=rearranged(current.slots, wanted),
        at=at,
        actor=actor,
        reason=change.reason,
        based_on=change.brings_back,
    )


def current_revision(model: Model) -> TrafficRevision:
    """The newest one, that of number 0 before the first."""
    return model.traffic or TrafficRevision()


def check_not_named(model: Model, version: int, done: str) -> None:
    """Raises Conflict while the policy of a model names the version, which shall be `done`."""
    policy = current_revision(model).policy
    if policy is not None and version in policy.versions:
        raise Conflict(
            f"version {version} of '{model.name}' is named by its traffic policy and cannot be"
            f" {done}; {_take_out(model.name)} first"
        )


def check_no_policy(model: Model) -> None:
    """Raises Conflict where a policy needs the default version."""
    if current_revision(model).policy is not None:
        raise Conflict(
            f"model '{model.name}' has a traffic policy, which needs a default version; remove it"
            f" with `augurium traffic clear {model.name}` first"
        )


def check_new_default(model: Model, version: Version, find: FindVersion) -> None:
    """Raises Conflict for a default whose requests a version of the policy would not take."""
    policy = current_revision(model).policy
    for number in policy.versions if policy else ():
        differs = difference(version.signature, find(number).signature)
        if differs:
            raise Conflict(
                f"version {version.version} of '{model.name}' cannot be the default while version"
                f" {number} is named by the traffic policy: {differs}; {_take_out(model.name)}"
                " first"
            )


def traffic_entry(revision: TrafficRevision) -> tuple[str, dict[str, Any]]:
    """Action and details of a revision in the audit log, which has time and actor itself."""
    details: dict[str, Any] = msgspec.to_builtins(revision)
    for field in ("at", "actor"):
        details.pop(field, None)
    if revision.based_on is not None:
        return "revert_traffic", details
    return "clear_traffic" if revision.policy is None else "set_traffic", details


def revision_in(entry: AuditEntry) -> TrafficRevision:
    """The revision that an entry of the audit log tells of."""
    return msgspec.convert({**entry.details, "at": entry.at, "actor": entry.actor}, TrafficRevision)


def _check_newest(name: str, current: TrafficRevision, based_on: int | None) -> None:
    if based_on is None or based_on == current.revision:
        return
    if based_on > current.revision:
        raise InvalidArgument(
            f"the traffic policy of '{name}' is at revision {current.revision}; there is no"
            f" {based_on} to base a change on"
        )
    when = current.at.isoformat(timespec="seconds") if current.at else "a while ago"
    because = f" ({current.reason})" if current.reason else ""
    raise Conflict(
        f"the traffic policy of '{name}' was changed meanwhile: revision {current.revision} by"
        f" {current.actor or 'nobody known'} at {when}{because}, and this change is based on"
        f" {based_on}; look at it with `augurium traffic show {name}` and decide again"
    )


def _check_versions(model: Model, policy: TrafficPolicy, find: FindVersion) -> None:
    if model.default_version is None:
        raise Conflict(
            f"model '{model.name}' has no default version, which answers where a policy cannot;"
            f" make one with `augurium deploy {model.name}@VERSION`"
        )
    default = find(model.default_version)
    for number in policy.versions:
        version = _named(model, number, find)
        differs = difference(default.signature, version.signature)
        if differs:
            raise InvalidArgument(
                f"version {number} of '{model.name}' does not take the requests that are for"
                f" version {default.version}, its default: {differs}; name it in the requests that"
                " are for it, or register it as a model of its own"
            )
    _check_features(policy, default.signature)


def _named(model: Model, number: int, find: FindVersion) -> Version:
    try:
        version = find(number)
    except NotFound as error:
        raise InvalidArgument(
            f"the policy names version {number}, and {error}; it has {_known(model.latest_version)}"
        ) from error
    check_live(model, version)
    if not version.deployed:
        raise Conflict(
            f"version {number} of '{model.name}' is not deployed; load it first with `augurium"
            f" deploy {model.name}@{number} --no-default`"
        )
    return version


def _check_features(policy: TrafficPolicy, signature: Signature) -> None:
    for what, source in _sources(policy):
        kind, name = source_of(source)
        if kind == "feature" and name not in signature.known_names:
            names = list(signature.expected_names)
            shown = ", ".join(f"'{one[:64]}'" for one in names[:10])
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            raise InvalidArgument(
                f"{what}: the model takes no feature '{name[:64]}'; it takes {shown}{more}"
            )


def _sources(policy: TrafficPolicy) -> Iterator[tuple[str, str]]:
    yield "unit", policy.unit
    for number, rule in enumerate(policy.rules, 1):
        yield f"rule {number}", rule.source


def _known(latest: int) -> str:
    return f"versions 1 to {latest}" if latest > 1 else "version 1 alone"


def _take_out(name: str) -> str:
    return (
        f"set a policy without it (`augurium traffic set {name} ...`) or remove the policy"
        f" (`augurium traffic clear {name}`)"
    )
