"""`augurium search`: versions by words, tags, metrics and states."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from augurium.client.registry_results import VersionSummary

COLUMNS = ("version", "framework", "points here", "approval", "metrics", "tags", "description")


def search(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="Terms that must all hold: words, name:, tag:KEY=VALUE, framework:, alias:, "
            "approval:, deployed:true, default:true, deleted:true, 'metric.accuracy>0.9'.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Versions to show, at most.")] = 100,
    json: JsonFlag = False,
) -> None:
    """Finds versions by words, tags, metrics and states.

    A value with spaces stands in double quotes; nothing is a wildcard.
    """
    from augurium.client import Client

    with Client() as client:
        found = list(islice(client.find(" ".join(query or [])), limit + 1))
    shown = found[:limit]
    if json:
        print_json({"versions": shown, "more": len(found) > limit})
        return
    if shown:
        print_table(COLUMNS, map(_row, shown))
    remark(_sentence(len(shown), len(found) > limit))


def _row(version: "VersionSummary") -> tuple[object, ...]:
    pointers = ["default"] * version.default + [f"@{alias}" for alias in version.aliases]
    states = ["deployed"] * (version.deployed and not pointers)
    deleted = ["deleted"] * (version.deleted_at is not None)
    return (
        f"{version.model}@{version.version}",
        version.framework,
        [*pointers, *states, *deleted],
        version.approval,
        version.metrics,
        version.tags,
        version.description.partition("\n")[0] or None,
    )


def _sentence(count: int, more: bool) -> str:
    if not count:
        return "No version is like that."
    versions = f"{count} version{'s' if count > 1 else ''}"
    return f"{versions}; there are more, give a larger --limit." if more else f"{versions}."
