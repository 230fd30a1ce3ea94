"""`augurium rollout status` and `history`: how rollouts stand and stood."""

from pathlib import Path
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, print_table, remark, show
from augurium.cli.rollout_chart import rollout_svg
from augurium.cli.rollout_page import page
from augurium.cli.rollout_watch import Which

COLUMNS = ("id", "kind", "version", "status", "started", "by", "ended", "why")


def status(
    which: Which,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Write a picture of it, as SVG.")
    ] = None,
    peek: Annotated[
        bool, typer.Option("--peek", help="An experiment's verdict as of now; decides nothing.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Shows how a rollout stands: weights, errors, latencies, the newest verdict, what happened."""
    from augurium.client import Client

    with Client() as client:
        found = client.rollout(which, peek)
        events = client.rollout_events(found.id)
    if plot is not None:
        plot.write_text(rollout_svg(found, events), "utf-8")
        remark(f"picture written to {plot}")
    if json:
        print_json(found)
    else:
        show(page(found, events))


def history(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model; all of them without it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    json: JsonFlag = False,
) -> None:
    """Lists rollouts, the newest first: what was tried, when, by whom, and how it ended."""
    from augurium.client import Client

    with Client() as client:
        found = client.rollouts(name, limit=limit)
    if json:
        print_json(found)
        return
    rows = [
        (
            one.id,
            one.kind,
            f"{one.model}@{one.version}",
            one.status,
            *(one.created_at, one.created_by, one.ended_at, one.reason),
        )
        for one in found
    ]
    print_table(COLUMNS, rows)
