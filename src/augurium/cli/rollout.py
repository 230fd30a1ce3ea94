"""`augurium rollout`: experiments and canaries of a model's versions."""

import typer

from augurium.cli.group import Commands
from augurium.cli.rollout_plan import plan

rollout = typer.Typer(
    name="rollout", cls=Commands, no_args_is_help=True, help="Experiments, planned before they run."
)
rollout.command("plan")(plan)
