"""`augurium batch`: rows of files scored into files, by the million."""

import typer

from augurium.cli.batch_orders import cancel, pause, resume, retry
from augurium.cli.batch_run import run
from augurium.cli.batch_schedule import schedule
from augurium.cli.batch_status import list_jobs, logs, report, status
from augurium.cli.batch_watch import watch
from augurium.cli.group import Commands

batch = typer.Typer(
    name="batch",
    cls=Commands,
    no_args_is_help=True,
    help="Batch jobs: files and tables in object stores, scored on the server.",
)
batch.command()(run)
batch.command("list")(list_jobs)
for command in (status, watch, logs, report, pause, resume, cancel, retry):
    batch.command()(command)
batch.add_typer(schedule)
