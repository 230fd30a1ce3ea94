"""`augurium history`: what served when, and who decided it."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag, moment, utc
from augurium.cli.output import print_json, print_table, remark
from augurium.cli.traffic_policy import shares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from augurium.client.registry_results import Decision, Served
    from augurium.client.results import AuditEntry

SERVED_COLUMNS = ("what", "version", "since", "decided by")
CHANGE_COLUMNS = ("time", "by", "change")


def history(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="A time, such as 2026-01-31T12:00Z; now if not given."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="Changes to show, at most.")
    ] = 20,
    json: JsonFlag = False,
) -> None:
    """Tells what of a model served at a time, and who decided it.

    Below stand the changes that led there, the newest first. A time without a zone is UTC.
    """
    from augurium.client import Client

    with Client() as client:
        found = client.history(model, None if at is None else utc(moment(at)), limit)
    if json:
        print_json(found)
        return
    remark(_headline(found.served))
    rows = list(_rows(found.served))
    if rows:
        print_table(SERVED_COLUMNS, rows)
    if found.changes:
        print_table(CHANGE_COLUMNS, map(_change, found.changes))


def _headline(served: "Served") -> str:
    at = served.at.strftime("%Y-%m-%d %H:%M:%S UTC")
    if served.state == "unknown":
        return f"At {at} there was no model '{served.model}' yet."
    if served.state != "live":
        return f"At {at} model '{served.model}' was {served.state}."
    what = "" if served.default or served.aliases or served.deployed else "; nothing of it served"
    return f"Model '{served.model}' at {at}{what}:"


def _rows(served: "Served") -> "Iterator[tuple[object, ...]]":
    if served.default is not None:
        yield _row("default", served.default)
    for alias, decision in served.aliases.items():
        yield _row(f"@{alias}", decision)
    for decision in served.deployed:
        yield _row("deployed", decision)


def _row(what: str, decision: "Decision") -> tuple[object, ...]:
    return what, decision.version, decision.at, decision.actor


def _change(entry: "AuditEntry") -> tuple[object, ...]:
    return entry.at, entry.actor, sentence(entry)


def sentence(entry: "AuditEntry") -> str:
    """A change of a pointer or of the traffic policy in words."""
    number, alias = entry.version, entry.details.get("alias")
    previous = entry.details.get("previous")
    before = f", was {previous}" if previous is not None else ""
    return {
        "deploy": f"deployed {number}",
        "undeploy": f"undeployed {number}",
        "set_default": f"default is {number}{before}",
        "clear_default": f"no default, was {number}",
        "set_alias": f"@{alias} is {number}{before}",
        "remove_alias": f"removed @{alias}, was {number}",
        "set_traffic": f"traffic: {shares(entry.details.get('policy') or {})}",
        "revert_traffic": f"traffic as in revision {entry.details.get('based_on')}",
        "clear_traffic": "no traffic policy",
    }.get(entry.action, entry.action)
