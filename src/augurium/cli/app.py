"""The `augurium` command: its commands, in the order of first use."""

from typing import Annotated

import typer

import augurium
from augurium.cli.alias import alias
from augurium.cli.approval import approval
from augurium.cli.audit import audit
from augurium.cli.batch import batch
from augurium.cli.card import card
from augurium.cli.client_code import client_code
from augurium.cli.delete import delete, restore
from augurium.cli.deploy import deploy
from augurium.cli.events import events
from augurium.cli.export import export
from augurium.cli.feedback import feedback
from augurium.cli.gc import gc
from augurium.cli.group import Commands
from augurium.cli.history import history
from augurium.cli.import_archive import import_archive
from augurium.cli.keys import keys
from augurium.cli.models import models
from augurium.cli.predict import predict
from augurium.cli.predictions import predictions
from augurium.cli.preprocess import preprocess
from augurium.cli.register import register
from augurium.cli.rollout import rollout
from augurium.cli.scaling import scaling
from augurium.cli.search import search
from augurium.cli.serve import serve
from augurium.cli.serving import serving
from augurium.cli.status import status
from augurium.cli.tag import tag
from augurium.cli.top import top
from augurium.cli.traffic import traffic
from augurium.cli.trust import trust
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
for command in (serve, register, models, deploy, undeploy, alias, serving, predict, status, top):
    app.command()(command)
app.command("client-code")(client_code)
app.add_typer(scaling)
app.add_typer(traffic)
app.add_typer(rollout)
app.command()(predictions)
app.add_typer(feedback)
app.command()(events)
app.add_typer(batch)
app.add_typer(versions)
app.command()(export)
app.command("import")(import_archive)
app.add_typer(keys)
app.add_typer(trust)
app.add_typer(approval)
for registry_command in (search, history, audit, tag, card, delete, restore, gc):
    app.command()(registry_command)
app.add_typer(preprocess)


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
