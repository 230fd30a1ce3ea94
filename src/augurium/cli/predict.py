"""`augurium predict`: predictions for instances from a file, standard input or the command line."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from augurium.cli.arguments import JsonFlag, reference
from augurium.cli.instances import read_instances
from augurium.cli.output import print_json, print_table, remark
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    from augurium.client.replies import Predictions


def predict(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]", help="A model, a version such as churn@3, or churn@champion."
        ),
    ],
    source: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="FILE|-|JSON",
            help="JSON, JSON lines or CSV with a header: a file, - for standard input, or JSON.",
        ),
    ],
    json: JsonFlag = False,
) -> None:
    """Predicts one or many instances.

    A JSON list is the instances, a JSON object is one. In CSV numbers are read as such and an
    empty field is a missing value.
    """
    from augurium.client import Client

    model = reference(name)
    try:
        instances = read_instances(source, sys.stdin)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error
    with Client() as client:
        found = client.predict(model.name, instances, version=model.version, alias=model.alias)
    if json:
        print_json(found)
        return
    _show(found)


def _show(found: "Predictions") -> None:
    predictions = found.predictions
    if predictions and all(isinstance(prediction, dict) for prediction in predictions):
        columns = list(dict.fromkeys(name for prediction in predictions for name in prediction))
        rows = [
            (number, *[_cell(prediction.get(name)) for name in columns])
            for number, prediction in enumerate(predictions)
        ]
    else:
        columns = ["prediction"]
        rows = [(number, _cell(prediction)) for number, prediction in enumerate(predictions)]
    print_table(("row", *columns), rows)
    if found.degraded:
        remark(f"The answer is degraded: {found.degraded}.")


def _cell(value: Any) -> object:
    # lists and objects as JSON, so that they can be told from text
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value
