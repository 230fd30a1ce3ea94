"""`augurium batch schedule`: batch jobs that run by the clock, or when files arrive."""

import typer

from augurium.cli.batch_schedule_create import create
from augurium.cli.batch_schedule_next import next_times
from augurium.cli.batch_schedule_orders import delete, pause, resume, run
from augurium.cli.batch_schedule_status import list_schedules, show_schedule
from augurium.cli.group import Commands

schedule = typer.Typer(
    name="schedule",
    cls=Commands,
    no_args_is_help=True,
    help="Batch jobs that run every hour or night, or when files arrive.",
)
schedule.command()(create)
schedule.command("list")(list_schedules)
schedule.command("show")(show_schedule)
for command in (pause, resume, run, delete):
    schedule.command()(command)
schedule.command("next")(next_times)
