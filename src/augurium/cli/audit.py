"""`augurium audit`: who changed what, and whether the log is whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, print_table, remark
from augurium.core.errors import Conflict

if TYPE_CHECKING:
    from augurium.client.results import AuditEntry

COLUMNS = ("entry", "time", "by", "action", "on", "details")


def audit(
    model: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model; all if not given.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="Entries to show, at most.")
    ] = 50,
    before: Annotated[
        int | None,
        typer.Option("--before", min=1, metavar="ENTRY", help="Only entries before this one."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the hash chain of the whole log instead.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Lists who changed what, the newest first, or checks that nothing in the log was altered.

    --verify prints the hash of the last entry: keep it elsewhere, and a later check that shows
    another history is proof of a change.
    """
    from augurium.client import Client

    if verify:
        _verify(json)
        return
    with Client() as client:
        entries = client.audit(model, limit, before)
    if json:
        print_json({"entries": entries})
    elif entries:
        print_table(COLUMNS, map(_row, entries))
    else:
        remark("Nothing was changed yet.")


def _verify(json: bool) -> None:
    from augurium.client import Client

    with Client() as client:
        check = client.verify_audit()
    if json:
        print_json(check)
    elif not check.faults:
        typer.echo(f"{check.entries} entries, intact; the last has hash {check.head or '-'}")
    if check.faults:
        raise Conflict(f"the audit log was altered: {'; '.join(check.faults)}")


def _row(entry: "AuditEntry") -> tuple[object, ...]:
    number = "" if entry.version is None else f"@{entry.version}"
    on = f"{entry.model}{number}" or None
    return entry.revision, entry.at, entry.actor, entry.action, on, entry.details
