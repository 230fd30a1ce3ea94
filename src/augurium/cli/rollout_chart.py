"""The picture of a rollout: weights, errors and latencies of both arms, and what happened."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from augurium.cli.svg_panels import Curve, Mark, Panel, picture
from augurium.core.drawing import COLOURS

if TYPE_CHECKING:
    from augurium.client.rollout_results import ArmPoint, Rollout, RolloutEvent

# what is marked; verdicts come every few seconds
MARKED = frozenset(
    {
        *("started", "step", "paused", "resumed", "promoted", "aborted", "rolled_back"),
        *("completed", "failed", "trouble", "weights", "look", "warmup", "analyzing", "late"),
    }
)
MOST_MARKS = 24
DAY_S = 86400.0


def rollout_svg(rollout: "Rollout", events: "Sequence[RolloutEvent]") -> str:
    """The picture as SVG."""
    start = rollout.created_at.timestamp()
    end, arms = _end(rollout, events), _arms(rollout)
    # what is since the end is to be seen as well
    edge = (end - start) * (1.0 if rollout.ended_at is None else 1.03)
    panels = [
        Panel("weights, % of units", _percent, list(_weights(rollout, arms, (end - start, edge)))),
        _error_panel(list(_errors(rollout, arms, start))),
        Panel("p99 latency, ms", _plain, list(_tails(rollout, arms, start))),
        *_effects(rollout, start),
    ]
    form = "%Y-%m-%d %H:%M" if end - start > DAY_S else "%H:%M:%S"
    marks = [
        Mark(event.at.timestamp() - start, f"{event.at:{form}} {event.text}")
        for event in events
        if event.kind in MARKED
    ][:MOST_MARKS]
    status = rollout.status.replace("_", " ")
    title = f"{rollout.kind} of {rollout.model}@{rollout.version}: {status}"
    begun = f"started by {rollout.created_by} {rollout.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return picture((title, begun), panels, marks, edge)


def _end(rollout: "Rollout", events: "Sequence[RolloutEvent]") -> float:
    times = [point.at for point in rollout.points] + [event.at.timestamp() for event in events]
    return max([rollout.created_at.timestamp() + 1, *times])


def _arms(rollout: "Rollout") -> dict[str, str]:
    """The colour of every arm, in the order in which they came; of the control first."""
    names = [f"v{rollout.control}"]
    names += [label for point in rollout.points for label in (*point.weights, *point.arms)]
    found = dict.fromkeys([*names, *rollout.weights])
    used = {label for point in rollout.points for label in (*point.weights, *point.arms)}
    shown = [name for name in found if name in used or name in rollout.weights]
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(shown)}


def _weights(
    rollout: "Rollout", arms: dict[str, str], until: tuple[float, float]
) -> Iterator[Curve]:
    start = rollout.created_at.timestamp()
    for name, colour in arms.items():
        # a point has the weights that were decided when it ended
        values = [(point.at - start, point.weights.get(name, 0.0)) for point in rollout.points]
        if values:
            last = _last_weights(rollout).get(name, 0.0)
            values = [(0.0, values[0][1]), *values, *((at, last) for at in until)]
        yield Curve(name, colour, values, steps=True)


def _last_weights(rollout: "Rollout") -> dict[str, float]:
    """Those that are; of what has ended, all units have what answers them since."""
    if rollout.ended_at is None:
        return rollout.weights
    promoted = rollout.status == "promoted"
    return {f"v{rollout.version if promoted else rollout.control}": 100.0}


def _errors(rollout: "Rollout", arms: dict[str, str], start: float) -> Iterator[Curve]:
    # here, not above: SciPy is large, and most commands draw nothing
    from augurium.statistics.proportions import wilson

    for name, colour in arms.items():
        points = [(at, arm) for at, arm in _of(rollout, name, start) if arm.requests]
        values = [(at, 100 * arm.errors / arm.requests) for at, arm in points]
        bands = []
        for at, arm in points:
            low, high = wilson(arm.errors, arm.requests)
            bands.append((at, 100 * low, 100 * high))
        yield Curve(name, colour, values, bands)


def _error_panel(curves: list[Curve]) -> Panel:
    """An interval of few requests is wide; it must not make all others flat."""
    highs = sorted(high for curve in curves for _, _, high in curve.bands)
    values = [value for curve in curves for _, value in curve.values]
    top = max([highs[len(highs) // 2], *values]) if highs else None
    heading = "errors, % of requests, with 95 % intervals"
    return Panel(heading, _percent, curves, top=top)


def _tails(rollout: "Rollout", arms: dict[str, str], start: float) -> Iterator[Curve]:
    for name, colour in arms.items():
        values = [
            (at, arm.p99_ms) for at, arm in _of(rollout, name, start) if arm.p99_ms is not None
        ]
        yield Curve(name, colour, values)


def _of(rollout: "Rollout", name: str, start: float) -> "Iterator[tuple[float, ArmPoint]]":
    for point in rollout.points:
        if name in point.arms:
            yield point.at - start, point.arms[name]


def _percent(value: float) -> str:
    return f"{_plain(value)} %"


def _plain(value: float) -> str:
    # a step of the grid away from zero may be what rounding left of it
    return f"{round(value, 9):.3g}"


def _effects(rollout: "Rollout", start: float) -> Iterator[Panel]:
    """Of an experiment: the effect with its interval, and the test against its bounds, by look."""
    looks: list[dict[str, Any]] = rollout.course.get("history", [])
    names = dict.fromkeys(look["variant"] for look in looks)
    if not names:
        return
    colours = dict(zip(names, COLOURS[1:] + COLOURS[:1], strict=False))
    end = max(look["at"] for look in looks) - start
    metric = looks[0]["metric"]
    effects = [_effect(name, colours[name], looks, start) for name in names]
    zero = [(0.0, 0.0), (end, 0.0)]
    yield Panel(f"effect on {metric}, by look", _plain, effects, [zero], from_zero=False)
    scores = [_scores(name, colours[name], looks, start) for name in names]
    bounds = [[(look["at"] - start, sign * look["bound"]) for look in looks] for sign in (1, -1)]
    yield Panel(f"z of {metric} and its bounds", _plain, scores, bounds, from_zero=False)


def _effect(name: str, colour: str, looks: list[dict[str, Any]], start: float) -> Curve:
    mine = [look for look in looks if look["variant"] == name]
    values = [(look["at"] - start, look["effect"]) for look in mine]
    bands = [
        (look["at"] - start, look["low"], look["high"]) for look in mine if look["low"] is not None
    ]
    return Curve(name, colour, values, bands, dots=True)


def _scores(name: str, colour: str, looks: list[dict[str, Any]], start: float) -> Curve:
    values = [(look["at"] - start, look["z"]) for look in looks if look["variant"] == name]
    return Curve(name, colour, values, dots=True)
