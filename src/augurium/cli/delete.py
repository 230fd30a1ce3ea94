"""`augurium delete` and `augurium restore`: hides models and versions, and shows them again."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, model_or_version
from augurium.cli.output import print_json

Target = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="A model, or one of its versions.")
]


def delete(name: Target, json: JsonFlag = False) -> None:
    """Hides a version, or a whole model, until it is restored or purged.

    What is deployed, the default or the target of an alias cannot be deleted. `augurium gc` purges
    what was deleted 30 days ago.
    """
    from augurium.client import Client

    model, version = model_or_version(name)
    with Client() as client:
        client.delete(model, version)
    _tell(name, "deleted", json)


def restore(name: Target, json: JsonFlag = False) -> None:
    """Shows a deleted version or model again."""
    from augurium.client import Client

    model, version = model_or_version(name)
    with Client() as client:
        client.restore(model, version)
    _tell(name, "restored", json)


def _tell(name: str, state: str, json: bool) -> None:
    if json:
        print_json({"name": name, "state": state})
    else:
        typer.echo(f"{name} is {state}")
