"""`augurium rollout watch`: a rollout until it ends."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.exit_codes import ExitCode
from augurium.cli.output import print_json, printable
from augurium.cli.rollout_page import line, page
from augurium.core.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from augurium.client import Client
    from augurium.client.rollout_results import Rollout, RolloutEvent

Which = Annotated[
    str, typer.Argument(metavar="WHICH", help="A rollout's id, or a model: its newest rollout.")
]
GOOD = frozenset({"promoted", "completed"})
# how long a server may be away, as one is that restarts
PATIENCE_S = 60.0
# how often a line says how it stands where nothing happens
LINE_EVERY_S = 60.0


def watch(
    which: Which,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.2, help="How often it is looked at.")
    ] = 2.0,
    json: JsonFlag = False,
) -> None:
    """Shows a rollout until it ends: weights, errors, latencies, events and why.

    Without a terminal it prints a line whenever something happens and once a minute, with `--json`
    one event a line. Ends with 0 when it was promoted or completed, with 1 when it was rolled back
    or failed.
    """
    from augurium.client import Client

    with Client() as client:
        # one that is started meanwhile is another one
        looks = _looks(client, client.rollout_id(which), interval)
        live = sys.stdout.isatty() and not json
        status = _live(looks) if live else _lines(looks, json)
    if status not in GOOD:
        raise typer.Exit(ExitCode.FAILED)


class _Look(NamedTuple):
    """How a rollout stands, all that has happened in it, and what of that is new."""

    rollout: "Rollout"
    events: "Sequence[RolloutEvent]"
    fresh: "Sequence[RolloutEvent]"


def _looks(client: "Client", rollout: str, interval_s: float) -> "Iterator[_Look]":
    """Looks again and again, until it has ended; a server that restarts is waited for."""
    events: list[RolloutEvent] = []
    seen = time.monotonic()
    while True:
        try:
            known = client.rollout(rollout)
            fresh = client.rollout_events(rollout, events[-1].number if events else 0)
        except NotReady:
            if time.monotonic() - seen > PATIENCE_S:
                raise
        else:
            seen = time.monotonic()
            events += fresh
            yield _Look(known, events, fresh)
            if known.ended_at is not None:
                return
        time.sleep(interval_s)


def _live(looks: "Iterator[_Look]") -> str:
    from rich.live import Live

    status = ""
    with Live(auto_refresh=False) as live:
        for look in looks:
            status = look.rollout.status
            live.update(page(look.rollout, look.events), refresh=True)
    return status


def _lines(looks: "Iterator[_Look]", json: bool) -> str:
    status, said, said_at = "", None, 0.0
    for look in looks:
        status = look.rollout.status
        for event in look.fresh:
            if json:
                print_json(event)
            else:
                typer.echo(printable(f"{event.at:%H:%M:%S} {event.kind}: {event.text}"))
        standing, now = (status, look.rollout.weights), time.monotonic()
        if not json and (standing != said or now - said_at >= LINE_EVERY_S):
            said, said_at = standing, now
            clock = time.strftime("%H:%M:%S", time.gmtime())
            typer.echo(printable(f"{clock} {line(look.rollout)}"))
    return status
