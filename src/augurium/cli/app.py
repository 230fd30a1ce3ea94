"""The `augurium` command: its commands, in the order of first use."""

from typing import Annotated

import typer

import augurium
from augurium.cli.alias import alias
from augurium.cli.deploy import deploy
from augurium.cli.group import Commands
from augurium.cli.models import models
from augurium.cli.predict import predict
from augurium.cli.register import register
from augurium.cli.serve import serve
from augurium.cli.status import status
from augurium.cli.undeploy import undeploy
from augurium.cli.versions import versions

EPILOG = (
    "Exit codes: 0 ok; 1 the server refused or the operation failed; 2 bad usage; "
    "3 no server reachable; 130 interrupted."
)

app = typer.Typer(
    name="augurium",
    cls=Commands,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (serve, register, models, versions, deploy, undeploy, alias, predict, status):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"augurium {augurium.__version__}")
        raise typer.Exit


@app.callback()
def augurium_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """From a trained model to a prediction service.

    The server is found by AUGURIUM_URL (http://127.0.0.1:8080 if unset), the key by AUGURIUM_KEY.
    """


def main() -> None:
    """Runs the command line and exits with its code."""
    app(prog_name="augurium")
