"""`augurium rollout`: experiments and canaries of a model's versions."""

import typer

from augurium.cli.group import Commands
from augurium.cli.rollout_orders import abort, pause, promote, resume
from augurium.cli.rollout_plan import plan
from augurium.cli.rollout_start import start
from augurium.cli.rollout_status import history, status
from augurium.cli.rollout_watch import watch

rollout = typer.Typer(
    name="rollout",
    cls=Commands,
    no_args_is_help=True,
    help="Canaries and experiments: a new version gets its requests step by step.",
)
for command in (plan, start, status, watch, pause, resume, promote, abort, history):
    rollout.command()(command)
