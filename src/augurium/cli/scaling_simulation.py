"""`augurium scaling simulate`: what the settings would do to a load, without a node."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag, duration
from augurium.cli.output import print_fields, print_json, remark
from augurium.cli.serve import loaded_settings

if TYPE_CHECKING:
    from augurium.core.settings import ScalingSettings
    from augurium.scaling.load import LoadPoint
    from augurium.scaling.policy import ScalingPolicy
    from augurium.scaling.simulation import Simulation, Tick

Trace = Annotated[
    Path | None,
    typer.Option("--trace", help="A CSV of SECONDS,REQUESTS_PER_SECOND to replay."),
]
ShapeName = Annotated[
    str, typer.Option("--shape", help="constant, step, spike or diurnal, where there is no trace.")
]
Base = Annotated[float, typer.Option("--base", min=0, help="Least requests per second of a shape.")]
Peak = Annotated[float, typer.Option("--peak", min=0, help="Most requests per second of a shape.")]
Duration = Annotated[
    str, typer.Option("--duration", help="How long a shape lasts, such as 24h or 90m.")
]
Noise = Annotated[
    float, typer.Option("--noise", min=0, max=1, help="Random part of a shape's rate, such as 0.1.")
]
Seed = Annotated[int, typer.Option("--seed", help="Another one is another noise.")]
Capacity = Annotated[
    float, typer.Option("--capacity", help="Requests per second that one engine can do.")
]
Start = Annotated[
    float, typer.Option("--start", min=0, help="Seconds from the decision until an engine serves.")
]
Most = Annotated[
    int | None,
    typer.Option(
        "--max", help="As scaling.max_engines or the most replicas, instead of the settings'."
    ),
]
Fewest = Annotated[
    int | None,
    typer.Option(
        "--min", help="As scaling.min_engines or the fewest replicas, instead of the settings'."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file with [scaling]; augurium.toml in the current folder if there is one.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="By what a server says of the replicas of this model, not the settings."
    ),
]
Svg = Annotated[Path | None, typer.Option("--svg", help="Write a picture to this file.")]


def simulate(
    capacity: Capacity,
    trace: Trace = None,
    shape: ShapeName = "diurnal",
    base: Base = 0.0,
    peak: Peak = 1000.0,
    duration_text: Duration = "24h",
    noise: Noise = 0.05,
    seed: Seed = 0,
    start: Start = 2.0,
    largest: Most = None,
    smallest: Fewest = None,
    config: Config = None,
    model_name: Model = None,
    svg: Svg = None,
    json: JsonFlag = False,
) -> None:
    """Replays a load against the scaling of the settings, or of a model's replicas, and tells what
    would have happened.

    Engines and replicas are a simple model: one queue, so many requests per second each.
    """
    from augurium.scaling.chart import svg_chart, text_chart
    from augurium.scaling.load import Shape, generate
    from augurium.scaling.simulation import ReplicaModel
    from augurium.scaling.simulation import simulate as replay

    flags = {"scaling.max_engines": largest, "scaling.min_engines": smallest}
    settings: ScalingSettings = loaded_settings(
        config, {} if model_name else flags
    ).settings.scaling
    policy = _of_model(model_name, smallest, largest) if model_name else _of_node(settings)
    if trace is not None:
        load = _read(trace)
    else:
        load = generate(Shape(shape, base, peak, duration(duration_text), noise, seed))
    tick_s = min(1.0, settings.interval_s)
    model = ReplicaModel(
        capacity=capacity, start_s=start, tick_s=tick_s, interval_s=settings.interval_s
    )
    found = replay(policy, load, model)
    if svg is not None:
        svg.write_text(svg_chart(found.ticks), "utf-8")
        remark(f"{svg} shows it.")
    if json:
        replicas = _changes(found.ticks)
        print_json({"summary": found.summary, "decisions": found.decisions, "replicas": replicas})
    else:
        typer.echo(text_chart(found.ticks))
        _show(found, "replica" if model_name else "engine")


def _of_node(settings: "ScalingSettings") -> "ScalingPolicy":
    from augurium.scaling.node_policy import node_policy

    if not settings.enabled:
        raise typer.BadParameter(
            "scaling.max_engines is 0, so the number never changes; give --max, or set it"
        )
    return node_policy(settings)


def _of_model(name: str, smallest: int | None, largest: int | None) -> "ScalingPolicy":
    import msgspec

    from augurium.client import Client
    from augurium.core.serving_policy import ReplicasPolicy
    from augurium.scaling.model_policy import model_policy

    with Client() as client:
        said = dict(client.model(name).serving.get("replicas", {}))
    bounds = {"least": smallest, "most": largest}
    said |= {bound: number for bound, number in bounds.items() if number is not None}
    try:
        return model_policy(msgspec.convert(said, ReplicasPolicy))
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"the replicas of {name} cannot be read: {error}") from error


def _read(trace: Path) -> "list[LoadPoint]":
    from augurium.scaling.load import read_trace

    try:
        with trace.open(encoding="utf-8", newline="") as lines:
            return read_trace(lines, str(trace))
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{trace} cannot be read: {error}") from error


def _changes(ticks: "list[Tick]") -> list[dict[str, float]]:
    """The replicas over time: one entry for each change of those wanted or ready."""
    changes, last = [], (-1, -1)
    for tick in ticks:
        if (tick.wanted, tick.ready) != last:
            last = (tick.wanted, tick.ready)
            changes.append({"t": tick.t, "wanted": tick.wanted, "ready": tick.ready})
    return changes


def _show(found: "Simulation", what: str) -> None:
    summary = found.summary
    fixed = summary.most * summary.duration_s / 3600
    saved = 100 * (1 - summary.replica_hours / fixed) if fixed else 0.0
    print_fields(
        [
            (f"{what}s", f"{summary.fewest} to {summary.most}"),
            ("changes", f"{summary.changes}, of direction {summary.turns}"),
            (
                f"{what} hours",
                f"{summary.replica_hours:.1f}; {saved:.0f} % less than {summary.most} all the time",
            ),
            ("time overloaded", f"{100 * summary.overloaded_share:.2f} %"),
            ("requests refused", f"{100 * summary.refused_share:.2f} %"),
            ("queue delay p99", f"{1000 * summary.queue_delay_p99_s:.1f} ms"),
        ]
    )
