"""`augurium feedback`: what became of predictions."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag, moment, utc
from augurium.cli.feedback_load import load, raise_rejected
from augurium.cli.group import Commands
from augurium.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from augurium.client.feedback_results import FeedbackValue, MetricSummary

METRICS = ("metric", "outcomes", "mean", "least", "most", "first", "last", "rows", "conflicting")
VALUES = ("received", "of", "metric", "value", "at", "id")
TRUTHS = {"true": True, "false": False}

feedback = typer.Typer(
    name="feedback", cls=Commands, no_args_is_help=True, help="What became of predictions."
)
feedback.command("load")(load)


@feedback.command("send")
def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    metric: Annotated[
        str, typer.Option("--metric", help="The name of the outcome, such as converted.")
    ],
    value: Annotated[str, typer.Option("--value", help="A number, true or false.")],
    prediction: Annotated[
        str, typer.Option("--prediction", metavar="ID", help="The id of the prediction.")
    ] = "",
    unit: Annotated[
        str, typer.Option("--unit", help="Who it is about, where the prediction is not known.")
    ] = "",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When the outcome was; now if not given."),
    ] = None,
    feedback_id: Annotated[
        str,
        typer.Option("--id", help="Tells apart several outcomes of one metric, as two purchases."),
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Says what became of one prediction. Said again, it takes the place of what was said."""
    from augurium.client import Client

    row: dict[str, Any] = {"model": name, "name": metric, "value": _value(value)}
    row |= {"prediction_id": prediction, "unit": unit, "id": feedback_id}
    if at is not None:
        row["at"] = utc(moment(at))
    with Client() as client:
        receipt = client.send_feedback(row)
    if json:
        print_json(receipt)
    raise_rejected(receipt)
    if not json:
        remark(f"Noted: {metric} of {prediction or unit} is {value}.")


@feedback.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    metric: Annotated[
        str | None, typer.Option("--metric", help="Values of this metric only.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Outcomes from then on.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Outcomes before then.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="Values to show, at most.")
    ] = 20,
    json: JsonFlag = False,
) -> None:
    """Shows a model's metrics, and the values that were received last. Times are UTC."""
    from augurium.client import Client

    first, last = (None if text is None else utc(moment(text)) for text in (start, end))
    with Client() as client:
        metrics = client.feedback_summary(name, first, last).metrics
        found = client.feedback(name, first, last, metric, limit)
    if json:
        print_json({"model": name, "metrics": metrics, "values": found.values, "more": found.more})
    elif not metrics:
        remark(f"Nothing was said of the predictions of '{name}'.")
    else:
        print_table(METRICS, map(_metric, metrics))
        print_table(VALUES, map(_row, found.values))


def _value(text: str) -> bool | float:
    if text.lower() in TRUTHS:
        return TRUTHS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise typer.BadParameter(f"--value is '{text}'; expected a number, true or false")
    return number


def _metric(found: "MetricSummary") -> tuple[object, ...]:
    return (
        found.name,
        found.outcomes,
        found.mean,
        found.least,
        found.most,
        found.first_at,
        found.last_at,
        found.received,
        found.conflicting,
    )


def _row(found: "FeedbackValue") -> tuple[object, ...]:
    of = found.prediction_id or found.unit
    return found.received_at, of, found.name, found.value, found.at, found.id or None
