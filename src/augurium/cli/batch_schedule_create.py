"""`augurium batch schedule create`: a job, and when it runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag, duration
from augurium.cli.batch_flags import Inputs, Model, Output, checked, takes_job
from augurium.cli.batch_schedule_page import next_sentence
from augurium.cli.output import print_json, remark

if TYPE_CHECKING:
    from augurium.client.batch_spec import BatchOptions
    from augurium.core.batch_schedule import Arrival

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Zone = Annotated[
    str, typer.Option("--timezone", metavar="ZONE", help="Whose clocks count: Europe/Berlin.")
]


@takes_job
def create(
    name: Name,
    model: Model,
    inputs: Inputs,
    output: Output,
    options: "BatchOptions",
    cron: Annotated[
        str,
        typer.Option(
            metavar="'0 2 * * *'",
            help="Minute, hour, day, month, weekday; or hourly, daily, weekly, monthly.",
        ),
    ] = "",
    timezone: Zone = "UTC",
    on_arrival: Annotated[
        bool, typer.Option("--on-arrival", help="Run when files arrive, each file once.")
    ] = False,
    poll: Annotated[
        str | None, typer.Option(metavar="60s", help="How often files are looked for.")
    ] = None,
    marker: Annotated[
        str | None,
        typer.Option(metavar="_SUCCESS", help="Files count when this one is in their folder."),
    ] = None,
    catch_up: Annotated[
        bool,
        typer.Option("--catch-up/--no-catch-up", help="Run all that was missed, not the newest."),
    ] = False,
    most_catch_up: Annotated[
        int | None, typer.Option(help="So many of those that were missed, at most; else 100.")
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(metavar="wait|skip", help="If the job before is not done; wait if not given."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the schedule of this name.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Keeps a schedule of batch jobs: by cron in a time zone, or on arrival of files.

    INPUT, OUTPUT and --where may say {date}, {hour}, {start}, {end}, {year}, {month}, {day}, {run},
    also as {date-1d}: they stand for the interval between two times of the schedule that has just
    ended.
    """
    from augurium.client import Client
    from augurium.client.batch_schedule_calls import schedule_spec
    from augurium.core.errors import InvalidArgument

    said: dict[str, Any] = {
        "cron": cron or None,
        "timezone": timezone,
        "on_arrival": _arrival(on_arrival, poll, marker),
        "catch_up": catch_up,
        "most_catch_up": most_catch_up,
        "overlap": overlap,
    }
    given: Any = {key: value for key, value in said.items() if value is not None}
    try:
        spec = schedule_spec(checked(model, inputs, output, options), **given)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error
    with Client() as client:
        kept = client.keep_batch_schedule(name, spec, replace)
    if json:
        print_json(kept)
    else:
        typer.echo(next_sentence(kept))
        remark(f"see it with `augurium batch schedule show {kept.name}`")


def _arrival(wanted: bool, poll: str | None, marker: str | None) -> "Arrival | None":
    if not wanted:
        if poll is not None or marker is not None:
            raise typer.BadParameter("--poll and --marker go with --on-arrival")
        return None
    from augurium.core.batch_schedule import Arrival

    poll_s = Arrival().poll_s if poll is None else duration(poll)
    return Arrival(poll_s=poll_s, marker=marker or "")
