"""`augurium scaling`: how many engines and replicas there are and why, and what a policy would do
to a load.
"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.group import Commands
from augurium.cli.output import print_json, show, table
from augurium.cli.scaling_simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from augurium.client.results import LoggedDecision, ModelScaling, Scaling, ScalingDecision

WATCH_S = 2.0
SHOWN = 15
DECISION_COLUMNS = ("cause", "reason", "done")

Watch = Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")]

scaling = typer.Typer(
    name="scaling", cls=Commands, invoke_without_command=True, no_args_is_help=False
)


@scaling.callback()
def show_scaling(context: typer.Context, watch: Watch = False, json: JsonFlag = False) -> None:
    """Shows how many engines and replicas of models there are, and why; newest decision first.

    `augurium scaling simulate` tells what the settings would do to a load.
    """
    if context.invoked_subcommand is not None:
        return
    from augurium.client import Client

    with Client() as client:
        if not watch:
            _print(client.scaling(), json)
        elif json:
            while True:
                _print(client.scaling(), json)
                time.sleep(WATCH_S)
        else:
            _watch(client.scaling)


scaling.command("simulate")(simulate)


def _print(found: "Scaling", json: bool) -> None:
    if json:
        print_json(found)
    else:
        show(_page(found))


def _watch(look: "Callable[[], Scaling]") -> None:
    from rich.live import Live

    with Live(_page(look()), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_S)
            live.update(_page(look()), refresh=True)


def _page(found: "Scaling") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    lines = [Text(_headline(found))]
    if found.enabled:
        targets = ", ".join(f"{name} {value:g}" for name, value in found.targets.items())
        lines.append(Text(f"targets: {targets or 'none'}"))
        lines += [Text(f"schedule: {schedule}") for schedule in found.schedules]
    if found.latest is not None:
        lines.append(Text(f"now: {found.latest.reason}"))
    parts: list[RenderableType] = [*lines, *_log(found.decisions, "engines")]
    for model in found.models:
        parts += [Text(), *_model(model)]
    return Group(*parts)


def _model(model: "ModelScaling") -> "Iterator[RenderableType]":
    from rich.text import Text

    bounds = f"{model.least} to {model.most}" if model.least != model.most else f"{model.most}"
    yield Text(f"{model.model}: {model.replicas} replicas of {bounds}, {model.running} running")
    if model.least != model.most:
        targets = ", ".join(f"{name} {value:g}" for name, value in model.targets.items())
        yield Text(f"targets: {targets or 'none'}")
    for schedule in model.schedules:
        yield Text(f"schedule: {schedule}")
    if model.latest is not None:
        yield Text(f"now: {model.latest.reason}")
    yield from _log(model.decisions, "replicas")


def _log(decisions: "Sequence[LoggedDecision]", what: str) -> "Iterator[RenderableType]":
    rows = [_row(entry.decision, entry.done) for entry in decisions[:SHOWN]]
    if rows:
        yield table(("time", what, *DECISION_COLUMNS), rows)


def _headline(found: "Scaling") -> str:
    states = ", ".join(f"{slot} {state}" for slot, state in found.engines.items())
    if not found.enabled:
        return f"{len(found.engines)} engines, fixed ({states}); scaling.max_engines lets it change"
    age = "" if found.reported_s_ago is None else f", {found.reported_s_ago:.0f} s ago"
    bounds = f"{found.min_engines} to {found.max_engines}"
    return f"{len(found.engines)} engines of {bounds} ({states}){age}"


def _row(decision: "ScalingDecision", done: str) -> tuple[object, ...]:
    change = f"{decision.current}"
    if decision.wanted != decision.current:
        change += f" -> {decision.wanted}"
    return (decision.at, change, decision.cause, decision.reason, done or None)
