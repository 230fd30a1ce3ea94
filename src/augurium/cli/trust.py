"""`augurium trust`: whose archives a node takes."""

from pathlib import Path
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.group import Commands
from augurium.cli.output import print_json, print_table

trust = typer.Typer(
    name="trust", cls=Commands, no_args_is_help=True, help="Says whose version archives are taken."
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What to call the key here.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="A public key, or a file that holds one.")]
Which = Annotated[str, typer.Argument(metavar="NAME", help="A key's name or fingerprint.")]


@trust.command("key")
def own_key(json: JsonFlag = False) -> None:
    """Prints the public key that the node signs with."""
    from augurium.client import Client

    with Client() as client:
        own = client.trusted_keys().own
    if json:
        print_json(own)
    else:
        typer.echo(own.key)


@trust.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """Lists the node's own key and those it trusts."""
    from augurium.client import Client

    with Client() as client:
        keys = client.trusted_keys()
    if json:
        print_json(keys)
    else:
        found = (keys.own, *keys.trusted)
        print_table(
            ("name", "fingerprint", "key"), [(key.name, key.fingerprint, key.key) for key in found]
        )


@trust.command("add")
def add(name: Name, key: Key, json: JsonFlag = False) -> None:
    """Takes archives signed by this key from now on."""
    from augurium.client import Client

    with Client() as client:
        added = client.trust(name, _text(key))
    if json:
        print_json(added)
    else:
        typer.echo(f"archives signed by {added.name} ({added.fingerprint}) are taken")


@trust.command("remove")
def remove(name: Which, json: JsonFlag = False) -> None:
    """Takes archives signed by this key no more."""
    from augurium.client import Client

    with Client() as client:
        left = client.distrust(name)
    if json:
        print_json(left)
    else:
        typer.echo(f"archives signed by {name} are not taken any more")


def _text(key: str) -> str:
    file = Path(key)
    try:
        return file.read_text("ascii").strip() if file.is_file() else key
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{key} is not a public key: {error}") from error
