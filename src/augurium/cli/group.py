"""The group of commands: where errors become a message and an exit code."""

from typing import Any

import typer
from typer.core import TyperGroup

from augurium.cli.exit_codes import ExitCode, exit_code_of
from augurium.cli.output import remark
from augurium.core.errors import AuguriumError


class Commands(TyperGroup):
    """Runs a command; a domain error ends it with its text on stderr instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AuguriumError as error:
            remark(f"Error: {error}")
            raise typer.Exit(exit_code_of(error)) from error
        except KeyboardInterrupt as error:
            remark("Interrupted.")
            raise typer.Exit(ExitCode.INTERRUPTED) from error
