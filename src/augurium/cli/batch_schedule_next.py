"""`augurium batch schedule next`: when a cron expression fires, without a server."""

from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, moment
from augurium.cli.batch_schedule_create import Zone
from augurium.cli.batch_schedule_page import local
from augurium.cli.output import print_json, print_table


def next_times(
    cron: Annotated[
        str,
        typer.Argument(
            metavar="CRON", help="Such as '0 2 * * *', or hourly, daily, weekly, monthly."
        ),
    ],
    timezone: Zone = "UTC",
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 5,
    after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From this time on, ISO 8601; from now if not given."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows when a schedule would run, and of which interval; needs no server.

    It shows what happens when clocks change too: try --after 2026-10-24 in Europe/Berlin.
    """
    from augurium.batch.cron import Cron

    times = Cron(cron, timezone)
    begin = datetime.now(UTC) if after is None else moment(after)
    if begin.tzinfo is None:
        begin = begin.replace(tzinfo=times.zone)
    ends = [*times.newest(begin, 1), *islice(times.after(begin), count)]
    intervals = [{"start": start, "end": end} for start, end in pairwise(ends)]
    if json:
        print_json(intervals)
        return
    rows = [
        (local(one["end"], timezone), f"{one['end']:%Y-%m-%d %H:%M}", local(one["start"], timezone))
        for one in intervals
    ]
    print_table(("runs at", "in UTC", "for the data from"), rows)
