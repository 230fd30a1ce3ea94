"""`augurium undeploy`: takes a version out of service."""

import typer

from augurium.cli.arguments import JsonFlag, VersionArgument, version_reference
from augurium.cli.output import print_json


def undeploy(version: VersionArgument, json: JsonFlag = False) -> None:
    """Takes a version out of service; it stays registered.

    Refused for the default version and for one an alias points at.
    """
    from augurium.client import Client

    name, number = version_reference(version)
    with Client() as client:
        found = client.undeploy(name, number)
    if json:
        print_json(found)
    else:
        typer.echo(f"{found.model}@{found.version} is undeployed")
