"""`augurium traffic shadow`: versions that are given copies of requests, and how they compare."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, remark, show
from augurium.cli.shadow_report import shadow_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from augurium.client import Client

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model.")]
To = Annotated[
    int | None,
    typer.Option(
        "--to", metavar="VERSION", min=1, help="Copy requests to this deployed version as well."
    ),
]
Percent = Annotated[
    float | None,
    typer.Option("--percent", metavar="PERCENT", help="Of the requests, in steps of 0.01; 100."),
]
Off = Annotated[
    bool, typer.Option("--off", help="Copy nothing any more, or nothing more to one version.")
]
Absolute = Annotated[
    float | None,
    typer.Option("--absolute", min=0, help="Numbers are the same within this much; 1e-6."),
]
Relative = Annotated[
    float | None,
    typer.Option("--relative", min=0, help="And within this part of the number; 1e-4."),
]
Ranking = Annotated[
    int | None,
    typer.Option(
        "--ranking",
        metavar="K",
        min=1,
        help="Rows of numbers are scores: the same when the K highest items are.",
    ),
]
MostInFlight = Annotated[
    int | None,
    typer.Option("--most-in-flight", min=1, metavar="COPIES", help="At a time, in each engine; 8."),
]
Examples = Annotated[
    int | None,
    typer.Option(
        "--examples", min=0, max=20, help="Rows that differ to keep, with their input; 20."
    ),
]
Baseline = Annotated[
    bool | None,
    typer.Option(
        "--beside-default/--beside-any",
        help="Compare with answers of the default version alone, or of whatever version answers.",
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads the history.")
]


def shadow(
    name: Name,
    to: To = None,
    percent: Percent = None,
    off: Off = False,
    absolute: Absolute = None,
    relative: Relative = None,
    ranking: Ranking = None,
    most_in_flight: MostInFlight = None,
    examples: Examples = None,
    beside_default: Baseline = None,
    reason: Reason = "",
    json: JsonFlag = False,
) -> None:
    """Copies requests to another version and shows how its answers differ; callers wait for none.

    Without options it shows the report: agreement, differences, latencies and rows side by side.
    """
    from augurium.client import Client

    compare = {
        "absolute": absolute,
        "relative": relative,
        "ranking": None if ranking is None else True,
        "top_k": ranking,
    }
    said = _given(
        percent=percent,
        most_in_flight=most_in_flight,
        examples=examples,
        baseline=None if beside_default is None else ("default" if beside_default else "any"),
    )
    compared = _given(**compare)
    if (said or compared) and (to is None or off):
        raise typer.BadParameter(
            f"say whose copies these are, such as `augurium traffic shadow {name} --to 3"
            " --percent 10`"
        )
    with Client() as client:
        if off:
            _stop(client, name, to, reason)
        elif to is not None:
            _cast(client, name, {"version": to, **said}, compared, reason)
        report = client.shadow_report(name)
    if json:
        print_json(report)
    else:
        show(shadow_page(report))


def _given(**options: Any) -> dict[str, Any]:
    return {option: value for option, value in options.items() if value is not None}


def _cast(
    client: "Client", name: str, said: dict[str, Any], compared: dict[str, Any], reason: str
) -> None:
    """Adds a shadow, or changes what is said of one that there is."""
    found = client.traffic(name)
    policy: Mapping[str, Any] = found.policy or {}
    shadows: list[dict[str, Any]] = list(policy.get("shadows", ()))
    known: dict[str, Any] = {"percent": 100}
    known |= next((one for one in shadows if one["version"] == said["version"]), {})
    changed = {**known, **said}
    if compared:
        changed["compare"] = known.get("compare", {}) | compared
    others = [one for one in shadows if one["version"] != said["version"]]
    client.set_traffic(name, {**policy, "shadows": [*others, changed]}, reason, found.revision)


def _stop(client: "Client", name: str, version: int | None, reason: str) -> None:
    """Takes one shadow away, or all; with the last one a policy that says nothing else."""
    found = client.traffic(name)
    policy: dict[str, Any] = dict(found.policy or {})
    before = policy.pop("shadows", [])
    shadows = [] if version is None else [one for one in before if one["version"] != version]
    if len(shadows) == len(before):
        remark(f"{name} has no such shadow; nothing was changed.")
        return
    if shadows:
        policy["shadows"] = shadows
    if shadows or policy.get("split") or policy.get("rules"):
        client.set_traffic(name, policy, reason, found.revision)
    else:
        client.clear_traffic(name, reason, found.revision)
