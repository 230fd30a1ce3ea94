"""`augurium deploy`: puts a version into service."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag, VersionArgument, version_reference
from augurium.cli.output import print_json, spinner

if TYPE_CHECKING:
    from augurium.client.results import Deployment


def deploy(
    version: VersionArgument,
    default: Annotated[
        bool,
        typer.Option(
            "--default/--no-default",
            help="Whether it becomes the version that answers requests which name none.",
        ),
    ] = True,
    json: JsonFlag = False,
) -> None:
    """Puts a version into service.

    Loads it into every engine and, unless told otherwise, makes it the default; returns when it
    serves. When it cannot be loaded nothing changes and the reason is shown.
    """
    from augurium.client import Client

    name, number = version_reference(version)
    with Client() as client, spinner(f"deploying {name}@{number}", shown=not json):
        deployment = client.deploy(name, number, default)
    if json:
        print_json(deployment)
    else:
        typer.echo(sentence(deployment))


def sentence(deployment: "Deployment") -> str:
    """What a deployment came to."""
    role = " as the default" if deployment.default else ""
    return (
        f"{deployment.model}@{deployment.version} is {deployment.state}{role} "
        f"({deployment.seconds:.2f} s)"
    )
