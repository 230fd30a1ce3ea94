"""`augurium tag`: the tags of a model or version."""

from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, model_or_version, tags
from augurium.cli.output import print_fields, print_json


def tag(
    name: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A model, or one of its versions.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE...]", help="Tags to set, such as team=risk."),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="KEY", help="A tag to remove; may be given again."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Sets and removes tags of a model or version, and shows those it has then."""
    from augurium.client import Client

    model, version = model_or_version(name)
    changes: dict[str, str | None] = {**tags(set_ or []), **dict.fromkeys(remove or [])}
    with Client() as client:
        if version is None:
            found = client.edit_model(model, tags=changes).tags
        else:
            found = client.edit_version(model, version, changes).tags
    if json:
        print_json({"tags": found})
    else:
        print_fields(found.items())
