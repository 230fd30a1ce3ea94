"""`augurium events`: what happens in rollouts."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, printable

if TYPE_CHECKING:
    from augurium.client.rollout_results import RolloutEvent


def events(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with those that come, until Ctrl-C.")
    ] = False,
    after: Annotated[
        int, typer.Option("--after", metavar="NUMBER", min=0, help="Only those after this number.")
    ] = 0,
    json: JsonFlag = False,
) -> None:
    """Shows what happened in the rollouts of all models, the oldest first, one event a line."""
    from augurium.client import Client

    with Client() as client:
        if follow:
            for event in client.follow_events(after):
                _print(event, json)
            return
        while True:
            found = client.events(after)
            for event in found.events:
                _print(event, json)
            if not found.events:
                return
            after = found.newest


def _print(event: "RolloutEvent", json: bool) -> None:
    if json:
        print_json(event)
    else:
        text = f"{event.number} {event.at:%Y-%m-%d %H:%M:%S} {event.model} {event.rollout[:8]}"
        typer.echo(printable(f"{text} {event.kind}: {event.text} ({event.actor})"))
