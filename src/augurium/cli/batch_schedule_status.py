"""`augurium batch schedule list` and `show`: when schedules run, and what they have run."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_schedule_create import Name
from augurium.cli.batch_schedule_page import fields, next_table, runs_table, schedules_table
from augurium.cli.output import print_fields, print_json, show


def list_schedules(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A model; all of them without it.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Lists schedules of batch jobs by name, with their next and their newest run."""
    from augurium.client import Client

    with Client() as client:
        found = client.batch_schedules(model)
    if json:
        print_json(found)
    else:
        show(schedules_table(found))


def show_schedule(
    name: Name,
    upcoming: Annotated[int, typer.Option(min=0, max=100, help="So many of the next runs.")] = 5,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest runs.")] = 10,
    json: JsonFlag = False,
) -> None:
    """Shows a schedule: its next runs, and the newest with their jobs."""
    from augurium.client import Client

    with Client() as client:
        found = client.batch_schedule(name, upcoming)
        runs = client.batch_schedule_runs(name, limit)
    if json:
        print_json(found)
        return
    print_fields(fields(found))
    if found.next_runs:
        show(next_table(found))
    if runs:
        show(runs_table(runs, found.timezone))
