"""`augurium models`: all models and where their pointers point."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import DeletedFlag, JsonFlag
from augurium.cli.output import print_json, print_table, remark, size
from augurium.cli.traffic_policy import shares

if TYPE_CHECKING:
    from augurium.client import Client
    from augurium.client.results import Model

COLUMNS = ("name", "latest", "default", "deployed", "aliases")
RESIDENT_COLUMNS = (
    *(
        "version",
        "state",
        "engines",
        "memory",
        "replicas",
        "load s",
        "loads",
        "evictions",
        "last asked",
        "why",
    ),
)


def models(
    deleted: DeletedFlag = False,
    resident: Annotated[
        bool, typer.Option("--resident", help="Where the deployed versions are, largest first.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Lists all models and where their pointers point, or what is in memory."""
    from augurium.client import Client

    with Client() as client:
        if resident:
            _show_resident(client, json)
            return
        found = client.models(deleted)
    if json:
        print_json({"models": found})
    elif found:
        told = [_traffic(model) for model in found]
        rows = [
            (
                model.name,
                model.latest_version,
                model.default_version,
                model.deployed_versions,
                model.aliases,
                *([traffic] if any(told) else []),
                *(["deleted" if model.deleted_at else "live"] if deleted else []),
            )
            for model, traffic in zip(found, told, strict=True)
        ]
        further = [*(["traffic"] if any(told) else []), *(["state"] if deleted else [])]
        print_table((*COLUMNS, *further), rows)
    else:
        remark("There are no models yet; register one with `augurium register PATH --name NAME`.")


def _traffic(model: "Model") -> str | None:
    policy = None if model.traffic is None else model.traffic.get("policy")
    return shares(policy) if policy else None


def _show_resident(client: "Client", json: bool) -> None:
    activity = client.activity()
    if json:
        print_json({"engines": activity.engines, "versions": activity.versions})
        return
    engines = [engine for engine in activity.engines if engine.connected]
    taken, budget = (
        sum(engine.resident_bytes for engine in engines),
        sum(engine.budget_bytes for engine in engines),
    )
    limit = f" of {size(budget)}" if budget else ", without a limit"
    remark(f"models take {size(taken)}{limit} in {len(engines)} engines")
    largest = sorted(
        activity.versions, key=lambda one: (-one.resident_bytes, -one.last_inference_at, one.model)
    )
    rows = [
        (
            f"{one.model}@{one.version}",
            f"{one.state}, pinned" if one.pinned else one.state,
            f"{one.engines}/{len(engines)}",
            size(one.resident_bytes) if one.resident_bytes else None,
            one.replicas or None,
            round(one.load_s, 3),
            one.loads,
            one.evictions,
            datetime.fromtimestamp(one.last_inference_at, UTC) if one.last_inference_at else None,
            one.reason or None,
        )
        for one in largest
    ]
    print_table(RESIDENT_COLUMNS, rows)
