"""`augurium card`: the Markdown that tells what a model or version is for."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, model_or_version
from augurium.cli.output import print_json, printable, remark
from augurium.core.errors import InvalidArgument

STANDARD_INPUT = "-"


def card(
    name: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A model, or one of its versions.")
    ],
    file: Annotated[
        str | None,
        typer.Option("--set", metavar="FILE", help="Replace it by this Markdown; - reads stdin."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows the card of a model or version, or replaces it."""
    from augurium.client import Client

    model, version = model_or_version(name)
    text = None if file is None else _read(file)
    with Client() as client:
        if text is None:
            text = client.card(model, version)
        else:
            client.set_card(model, text, version)
    if json:
        print_json({"card": text})
    elif file is not None:
        remark(f"The card of {name} is set.")
    elif text:
        typer.echo(printable(text))
    else:
        remark(f"{name} has no card yet; give it one with --set FILE.")


def _read(file: str) -> str:
    try:
        if file == STANDARD_INPUT:
            return sys.stdin.read()
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"card {file} cannot be read: {error}") from error
