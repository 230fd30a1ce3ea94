"""`augurium gc`: removes what was deleted long ago and files that nobody needs."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, duration
from augurium.cli.output import print_json, print_table, size, spinner

COLUMNS = ("what", "how much")


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be removed.")
    ] = False,
    grace: Annotated[
        str, typer.Option("--grace", help="Files younger than this stay, such as 24h or 30m.")
    ] = "24h",
    retention: Annotated[
        str,
        typer.Option("--retention", help="What was deleted within this time stays, such as 30d."),
    ] = "30d",
    json: JsonFlag = False,
) -> None:
    """Purges what was deleted long ago, and removes files that no version stands on.

    A file that a version stands on is never removed, whatever is registered meanwhile.
    """
    from augurium.client import Client

    times = {"grace_s": duration(grace), "retention_s": duration(retention)}
    with Client() as client, spinner("collecting", shown=not json):
        found = client.collect_garbage(dry_run, **times)
    if json:
        print_json(found)
        return
    versions = ", ".join(f"{one.model}@{one.version}" for one in found.purged)
    verb = "would be" if dry_run else "are"
    print_table(
        COLUMNS,
        [
            (f"versions that {verb} purged", versions or "none"),
            (f"files that {verb} removed", found.files),
            ("bytes freed" if not dry_run else "bytes to free", size(found.bytes_freed)),
        ],
    )
