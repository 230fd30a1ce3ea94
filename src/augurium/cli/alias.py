"""`augurium alias`: names for versions."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, alias_reference, version_argument
from augurium.cli.output import print_json


def alias(
    alias: Annotated[
        str,
        typer.Argument(metavar="NAME@ALIAS", help="A model and an alias, such as churn@champion."),
    ],
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="The deployed version it shall point at."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias instead.")] = False,
    json: JsonFlag = False,
) -> None:
    """Points an alias at a deployed version, or removes it.

    An alias is created or moved as needed.
    """
    from augurium.client import Client

    name, found_alias = alias_reference(alias)
    if remove == (version is not None):
        raise typer.BadParameter("give either VERSION or --remove")
    number = None if version is None else version_argument(version)
    with Client() as client:
        if number is None:
            model = client.remove_alias(name, found_alias)
        else:
            model = client.set_alias(name, found_alias, number)
    if json:
        print_json(model)
    else:
        target = "is removed" if number is None else f"is version {number}"
        typer.echo(f"{name}@{found_alias} {target}")
