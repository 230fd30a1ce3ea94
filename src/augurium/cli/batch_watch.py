"""`augurium batch watch`: a job until it ends."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_page import duration, fields, line
from augurium.cli.exit_codes import ExitCode
from augurium.cli.output import console, print_fields, print_json, remark

if TYPE_CHECKING:
    from augurium.client.batch_results import BatchJob
    from augurium.client.batch_run import BatchRun

Which = Annotated[
    str, typer.Argument(metavar="WHICH", help="A job's id, or a model: its newest job.")
]
LOOK_EVERY_S = 0.5
# how often a line says how it stands where there is no terminal and nothing happens
LINE_EVERY_S = 30.0


def watch(which: Which, json: JsonFlag = False) -> None:
    """Shows a job until it ends: a bar with rows, rows per second, the time left and bad rows.

    Without a terminal it prints a line when something happens and twice a minute. Ends with 0 when
    the job has succeeded, and with 1 when it failed or was cancelled. Ctrl-C ends the watching, not
    the job.
    """
    from augurium.client import Client

    with Client() as client:
        see_through(client.batch_run(which), json)


def see_through(run: "BatchRun", json: bool) -> None:
    """Shows how a job goes on until it has ended, and then what came of it."""
    try:
        if json:
            for _ in run.looks():
                pass
        elif sys.stderr.isatty():
            _bar(run)
        else:
            _lines(run)
    except KeyboardInterrupt:
        remark(
            f"Job {run.id} goes on. See it again with `augurium batch watch {run.id}`, end it with"
            f" `augurium batch cancel {run.id}`."
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _tell(run.job, json)
    if run.job.state != "succeeded":
        raise typer.Exit(ExitCode.FAILED)


def _tell(job: "BatchJob", json: bool) -> None:
    if json:
        print_json(job)
        return
    print_fields(fields(job))
    if job.state == "succeeded":
        remark(f"Its report: `augurium batch report {job.id} --html FILE`.")
    else:
        remark(
            f"What happened: `augurium batch logs {job.id}`. Once that is mended, it goes on with"
            f" `augurium batch retry {job.id}`."
        )


def _bar(run: "BatchRun") -> None:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=console(sys.stderr),
        transient=True,
    )
    with bar:
        task = bar.add_task(f"{run.job.model}@{run.job.version}", total=None, said="")
        for job in run.looks(LOOK_EVERY_S):
            total = 1.0 if job.done is not None else None
            bar.update(task, total=total, completed=job.done or 0.0, said=line(job))


def _lines(run: "BatchRun") -> None:
    said, said_at = "", 0.0
    for job in run.looks():
        now = time.monotonic()
        standing = f"{job.state} {job.wanted}"
        if standing != said or now - said_at >= LINE_EVERY_S:
            said, said_at = standing, now
            remark(f"{duration(job.elapsed_s):>10}  {line(job)}")
