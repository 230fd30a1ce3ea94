"""A rollout in a terminal: weights as bars, errors and latencies of its arms, events and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from augurium.cli.output import printable, table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from augurium.client.rollout_results import ArmPoint, Point, Rollout, RolloutEvent

BAR = 40
SHOWN_EVENTS = 8
COLUMNS = ("variant", "weight", "", "requests", "errors", "95 % interval", "p50 ms", "p99 ms")


def page(rollout: "Rollout", events: "Sequence[RolloutEvent]") -> "Group":
    """The whole page."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(printable(line)) for line in headline(rollout)]
    parts.append(table(COLUMNS, _arms(rollout)))
    said = verdict_lines(rollout.verdict, rollout.reason)
    parts += [Text(printable(line)) for line in said]
    if events:
        rows = [(event.at, event.kind, event.actor, event.text) for event in events[-SHOWN_EVENTS:]]
        parts.append(table(("time", "event", "by", "what"), rows))
    return Group(*parts)


def headline(rollout: "Rollout") -> Iterator[str]:
    """What it is, how it stands and why."""
    yield (
        f"{rollout.kind} of {rollout.model}@{rollout.version} against version {rollout.control}:"
        f" {rollout.status}"
    )
    ended = f", ended {rollout.ended_at:%Y-%m-%d %H:%M:%S} UTC" if rollout.ended_at else ""
    yield (
        f"{rollout.id}, started by {rollout.created_by} {rollout.created_at:%Y-%m-%d %H:%M:%S}"
        f" UTC{ended}"
    )
    if rollout.reason:
        yield f"why: {rollout.reason}"
    if rollout.problem:
        yield f"waits: {rollout.problem}"


def verdict_lines(verdict: Mapping[str, Any], said: str = "") -> Iterator[str]:
    """The newest verdict: its sentences but what is `said` already, and each finding with its
    numbers.
    """
    for sentence in verdict.get("sentences", ()):
        if sentence != said:
            yield str(sentence)
    for finding in verdict.get("findings", ()):
        yield f"- {_finding(finding)}"


def line(rollout: "Rollout") -> str:
    """How it stands, in one line, for who has no terminal."""
    weights = ", ".join(f"{label} {weight:g} %" for label, weight in rollout.weights.items())
    arms = [
        f"{label} {arm.requests} requests, {arm.errors} errors, p99 {_decimal(arm.p99_ms)} ms"
        for label, arm in totals(rollout.points[-6:]).items()
    ]
    # why it goes on was told as an event, once
    reason = "" if rollout.status == "running" else rollout.reason
    parts = [rollout.status, weights, *arms, reason]
    return "; ".join(part for part in parts if part)


def totals(points: "Sequence[Point]") -> "dict[str, ArmPoint]":
    """The arms over several points; latencies are those of the slowest."""
    from augurium.client.rollout_results import ArmPoint

    found: dict[str, ArmPoint] = {}
    for point in points:
        for label, arm in point.arms.items():
            known = found.get(label, ArmPoint(0, 0))
            found[label] = ArmPoint(
                known.requests + arm.requests,
                known.errors + arm.errors,
                _slower(known.p50_ms, arm.p50_ms),
                _slower(known.p99_ms, arm.p99_ms),
            )
    return found


def _arms(rollout: "Rollout") -> "Iterator[tuple[object, ...]]":
    # here, not above: SciPy is large
    from augurium.statistics.proportions import wilson

    measured = totals(rollout.points)
    for label in dict.fromkeys((*rollout.weights, *measured)):
        weight, arm = rollout.weights.get(label, 0.0), measured.get(label)
        bar = "█" * round(BAR * weight / 100)
        # what has ended splits nothing any more
        share = f"{weight:g} %" if rollout.weights else None
        if arm is None or not arm.requests:
            yield (label, share, bar, 0, *[None] * 4)
            continue
        low, high = wilson(arm.errors, arm.requests)
        yield (
            label,
            share,
            bar,
            f"{arm.requests:,}",
            f"{100 * arm.errors / arm.requests:.3g} %",
            f"{100 * low:.3g} to {100 * high:.3g} %",
            _decimal(arm.p50_ms),
            _decimal(arm.p99_ms),
        )


def _finding(finding: Mapping[str, Any]) -> str:
    reason = finding.get("reason")
    if reason:
        return f"{finding.get('check', '')} {finding.get('outcome', '')}: {reason}"
    return ", ".join(f"{key} {value}" for key, value in finding.items() if value is not None)


def _slower(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
