"""`augurium approval`: asks for approvals, gives and refuses them, and requires them."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, VersionArgument, version_reference
from augurium.cli.group import Commands
from augurium.cli.output import print_json

Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit log.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A model.")]

approval = typer.Typer(
    name="approval",
    cls=Commands,
    no_args_is_help=True,
    help="Asks for approvals of versions, gives them, and requires them.",
)


@approval.command("request")
def request(version: VersionArgument, reason: Reason = "", json: JsonFlag = False) -> None:
    """Asks that a version be approved."""
    from augurium.client import Client

    name, number = version_reference(version)
    with Client() as client:
        found = client.request_approval(name, number, reason)
    if json:
        print_json(found)
    else:
        typer.echo(f"{name}@{number} waits for approval")


@approval.command("approve")
def approve(version: VersionArgument, reason: Reason = "", json: JsonFlag = False) -> None:
    """Approves a version."""
    _decide(version, "approved", reason, json)


@approval.command("reject")
def reject(version: VersionArgument, reason: Reason = "", json: JsonFlag = False) -> None:
    """Rejects a version; where it is deployed already it stays so."""
    _decide(version, "rejected", reason, json)


@approval.command("withdraw")
def withdraw(version: VersionArgument, reason: Reason = "", json: JsonFlag = False) -> None:
    """Takes back what was asked or decided about a version."""
    _decide(version, "none", reason, json)


@approval.command("require")
def require(name: Name, json: JsonFlag = False) -> None:
    """From now on only approved versions of a model may be deployed."""
    _rule(name, True, json)


@approval.command("waive")
def waive(name: Name, json: JsonFlag = False) -> None:
    """From now on versions of a model need no approval to be deployed."""
    _rule(name, False, json)


def _decide(version: str, decision: str, reason: str, json: bool) -> None:
    from augurium.client import Client

    name, number = version_reference(version)
    with Client() as client:
        found = client.set_approval(name, number, decision, reason)
    if json:
        print_json(found)
    else:
        state = "has no approval" if found.approval == "none" else f"is {found.approval}"
        typer.echo(f"{name}@{number} {state}")


def _rule(name: str, required: bool, json: bool) -> None:
    from augurium.client import Client

    with Client() as client:
        found = client.require_approval(name, required)
    if json:
        print_json(found)
    else:
        typer.echo(f"{name} {'requires' if required else 'does not require'} approval")
