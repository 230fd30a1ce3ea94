"""`augurium batch list`, `status`, `logs` and `report`: how jobs stand and stood."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_page import fields, jobs_table
from augurium.cli.batch_watch import Which
from augurium.cli.output import print_fields, print_json, printable, remark, show

if TYPE_CHECKING:
    from augurium.client import Client
    from augurium.client.batch_results import BatchLogLine

ACTIVE = ("queued", "running", "paused", "publishing")


def list_jobs(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A model; all of them without it.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only those in this state; may be given again."),
    ] = None,
    active: Annotated[
        bool, typer.Option("--active", help="Only those that have not ended.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    json: JsonFlag = False,
) -> None:
    """Lists batch jobs, the newest first."""
    from augurium.client import Client

    states: Any = [*(state or ()), *(ACTIVE if active else ())]
    with Client() as client:
        found = client.batch_jobs(model, states, limit)
    if json:
        print_json(found)
    else:
        show(jobs_table(found))


def status(which: Which, json: JsonFlag = False) -> None:
    """Shows how a job stands: rows, bad rows by reason, partitions, times."""
    from augurium.client import Client

    with Client() as client:
        found = client.batch_job(which)
    if json:
        print_json(found)
    else:
        print_fields(fields(found))


def logs(
    which: Which,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with lines that come, until the job ends.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Shows what happened in a job, the oldest first, one line each."""
    from augurium.client import Client

    with Client() as client:
        job, after = client.batch_run(which), 0
        looks = job.looks() if follow else iter([job.job])
        for _ in looks:
            after = _printed(client, job.id, after, json)
        # what was said at the end
        _printed(client, job.id, after, json)


def report(
    which: Which,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page with plots.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows the report of a job that has ended, or writes it as a page with plots."""
    from augurium.client import Client

    with Client() as client:
        if html is not None:
            html.write_text(client.batch_report_page(which), "utf-8")
            remark(f"report written to {html}")
        if json:
            print_json(client.batch_report(which))
        elif html is None:
            _show(client.batch_report(which))


def _show(report: dict[str, Any]) -> None:
    from augurium.batch.report import read_report
    from augurium.cli.batch_report import report_lines
    from augurium.core.errors import InvalidArgument

    try:
        known = read_report(report)
    except InvalidArgument:
        # of a server that is newer than this command
        print_json(report)
    else:
        print_fields(report_lines(known))


def _printed(client: "Client", job: str, after: int, json: bool) -> int:
    """Prints the lines that are new; the number of the newest."""
    found = client.batch_log(job, after)
    for entry in found:
        if json:
            print_json(entry)
        else:
            typer.echo(_line(entry))
    return found[-1].number if found else after


def _line(entry: "BatchLogLine") -> str:
    numbers = "".join(f" {name}={value}" for name, value in entry.numbers.items())
    level = "" if entry.level == "info" else f"{entry.level}: "
    return printable(f"{entry.at:%Y-%m-%d %H:%M:%S} {level}{entry.text}{numbers}")
