"""`augurium predictions`: what was recorded of a model's predictions."""

import csv
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from augurium.client.recorded_predictions import PredictionFilter, RecordedPrediction

COLUMNS = ("time", "id", "version", "variant", "unit", "score", "ms", "outcome")
CSV_COLUMNS = (
    *("at", "prediction_id", "model", "version", "variant", "unit"),
    *("score", "seconds", "outcome", "sampled", "inputs", "outputs"),
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d{1,6})([smhd])")


def predictions(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    since: Annotated[
        str,
        typer.Option(metavar="SPAN", help="How far back: a number with s, m, h or d, such as 90m."),
    ] = "1h",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Predictions to show, at most.")] = 20,
    version: Annotated[int | None, typer.Option(min=1, help="Of this version alone.")] = None,
    variant: Annotated[str | None, typer.Option(help="Of this variant alone.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="With this outcome alone: ok, or an error kind.")
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with inputs and outputs.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Shows the newest recorded predictions of a model; needs a key with scope admin."""
    from augurium.client import Client

    wanted: PredictionFilter = {"start": datetime.now(UTC) - span(since), "limit": limit}
    if version is not None:
        wanted["version"] = version
    if variant is not None:
        wanted["variant"] = variant
    if outcome is not None:
        wanted["outcome"] = outcome
    with Client() as client:
        found = client.predictions(name, **wanted)
    if json:
        print_json({"predictions": found})
    elif as_csv:
        _print_csv(found)
    elif found:
        print_table(COLUMNS, map(_row, found))
    else:
        remark(f"Nothing was recorded of model '{name}' in the last {since}.")


def span(text: str) -> timedelta:
    """Reads a span of time such as `90m`. Raises BadParameter."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is not a span of time; expected one such as 90m or 2d")
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def _row(found: "RecordedPrediction") -> tuple[object, ...]:
    return (
        found.at,
        found.prediction_id,
        found.version,
        found.variant or None,
        found.unit or None,
        None if found.score is None else f"{found.score:.6g}",
        f"{found.seconds * 1000:.2f}",
        found.outcome,
    )


def _print_csv(found: "Iterable[RecordedPrediction]") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for prediction in found:
        plain = msgspec.to_builtins(prediction)
        texts = {
            key: msgspec.json.encode(plain[key]).decode()
            for key in ("inputs", "outputs")
            if plain[key] is not None
        }
        writer.writerow([texts.get(column, plain[column]) for column in CSV_COLUMNS])
