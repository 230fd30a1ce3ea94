"""`augurium rollout start`: a canary, an experiment or a bandit."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag, VersionArgument, duration, version_reference
from augurium.cli.output import print_json, spinner

if TYPE_CHECKING:
    from augurium.client.rollout_results import Rollout

PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="A canary's plan as TOML; options overrule it."),
]
Experiment = Annotated[
    Path | None,
    typer.Option("--experiment", metavar="FILE", help="Run the experiment of this design, TOML."),
]
Bandit = Annotated[
    Path | None,
    typer.Option("--bandit", metavar="FILE", help="Run the bandit of this design, TOML."),
]
Steps = Annotated[
    str | None, typer.Option("--steps", help="Percent of the units, step by step: 5,25,50,100.")
]
Hold = Annotated[
    str | None, typer.Option("--hold", help="How long each step lasts at least, such as 5m.")
]
Slo = Annotated[
    float | None,
    typer.Option("--slo-ms", help="A request that takes longer counts as a breach."),
]
Deadline = Annotated[
    str | None, typer.Option("--deadline", help="When a canary without verdict ends, such as 2h.")
]
Least = Annotated[
    int | None, typer.Option("--least-requests", help="Requests that each step needs of each arm.")
]
WarmUp = Annotated[
    int | None,
    typer.Option("--warm-up-requests", help="Requests of the version that are not judged."),
]

Quality = Annotated[
    str | None,
    typer.Option(
        "--quality", metavar="METRIC", help="A metric of feedback that it may not harm, too."
    ),
]
QualityMargin = Annotated[
    float | None,
    typer.Option("--quality-margin", help="How much worse the metric may be, in its unit."),
]
LowerIsBetter = Annotated[
    bool, typer.Option("--lower-is-better", help="The metric is better where it is lower.")
]


def start(
    version: VersionArgument,
    canary: Annotated[
        bool, typer.Option("--canary", help="Run a canary; so it is without any of these.")
    ] = False,
    experiment: Experiment = None,
    bandit: Bandit = None,
    plan: PlanFile = None,
    steps: Steps = None,
    hold: Hold = None,
    slo_ms: Slo = None,
    deadline: Deadline = None,
    least_requests: Least = None,
    warm_up_requests: WarmUp = None,
    quality: Quality = None,
    quality_margin: QualityMargin = None,
    lower_is_better: LowerIsBetter = False,
    json: JsonFlag = False,
) -> None:
    """Starts a rollout of a version: a canary, unless told otherwise.

    The version must be deployed beside the default (`augurium deploy NAME@VERSION --no-default`).
    """
    from augurium.client import Client

    name, number = version_reference(version)
    options = {
        "steps": _steps(steps),
        "hold_s": _seconds(hold),
        "slo_ms": slo_ms,
        "deadline_s": _seconds(deadline),
        "least_requests": least_requests,
        "warm_up_requests": warm_up_requests,
    }
    given = {key: value for key, value in options.items() if value is not None}
    judged = quality_options(quality, quality_margin, lower_is_better)
    kind, file = _kind(canary, experiment, bandit, plan)
    if kind != "canary" and (given or judged):
        unfit = ", ".join([*given, *(["quality"] if judged else [])])
        raise typer.BadParameter(f"options of a canary do not go with --{kind}: {unfit}")
    wanted = with_quality({**_read(file), **given, "version": number}, judged)
    with Client() as client, spinner(f"starting {kind} of {name}@{number}", shown=not json):
        started = client.start_rollout(name, wanted, kind)
    if json:
        print_json(started)
    else:
        typer.echo(sentence(started))


def sentence(started: "Rollout") -> str:
    """What was started, and what to do next."""
    weights = ", ".join(f"{label} {weight:g} %" for label, weight in started.weights.items())
    return (
        f"{started.kind} of {started.model}@{started.version} is {started.status} ({weights});"
        f" see it with `augurium rollout watch {started.model}`"
    )


def quality_options(name: str | None, margin: float | None, lower: bool) -> dict[str, Any]:
    """What options say of the quality that is judged, empty if they say nothing."""
    said = {"name": name, "margin": margin, "higher_is_better": False if lower else None}
    return {key: value for key, value in said.items() if value is not None}


def with_quality(plan: dict[str, Any], judged: dict[str, Any]) -> dict[str, Any]:
    """The plan with these options. Raises BadParameter where it lacks the name or the margin."""
    if not judged:
        return plan
    known = plan.get("quality")
    whole = {**(known if isinstance(known, dict) else {}), **judged}
    if "name" not in whole:
        raise typer.BadParameter("expected --quality METRIC, the name of a metric of feedback")
    if "margin" not in whole:
        raise typer.BadParameter(
            f"expected --quality-margin, how much worse '{whole['name']}' may be, such as 0.01"
        )
    return {**plan, "quality": whole}


def _kind(
    canary: bool, experiment: Path | None, bandit: Path | None, plan: Path | None
) -> tuple[str, Path | None]:
    files = {"experiment": experiment, "bandit": bandit, "canary": plan}
    found = [(kind, file) for kind, file in files.items() if file is not None]
    if len(found) > 1 or (canary and found and found[0][0] != "canary"):
        raise typer.BadParameter("expected one of --canary, --experiment FILE and --bandit FILE")
    return found[0] if found else ("canary", None)


def _steps(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' are no steps; expected some as 5,25,50,100") from error


def _seconds(text: str | None) -> float | None:
    return None if text is None else duration(text)


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as TOML: {error}") from error
