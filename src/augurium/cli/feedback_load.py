"""`augurium feedback load`: outcomes from a file, by the million."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.feedback_files import feedback_rows
from augurium.cli.output import Progress, print_json, progress_bar, remark
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    from augurium.client.feedback_results import FeedbackReceipt

SHOWN = 10


def load(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON Lines (.ndjson, .jsonl), .csv or .parquet.",
        ),
    ],
    model: Annotated[
        str | None, typer.Option("--model", help="The model of rows that name none.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Sends the outcomes in a file: columns model, prediction_id or unit, name, value, at, id.

    A row that does not fit is told, the others are taken. It may be repeated: nothing counts twice.
    """
    from augurium.client import Client

    with Client() as client, progress_bar(not json) as progress:
        receipt = client.send_feedback(_watched(file, model, progress))
    if json:
        print_json(receipt)
    else:
        remark(f"{receipt.accepted} rows accepted, {receipt.rejected} rejected.")
        for rejection in receipt.rejections[:SHOWN]:
            remark(f"  row {rejection.line}: {rejection.reason}")
    if receipt.rejected:
        raise InvalidArgument(
            f"{receipt.rejected} rows of {file} were rejected; mend them and load it again"
        )


def raise_rejected(receipt: "FeedbackReceipt") -> None:
    """Raises InvalidArgument with the reason if a row was not taken."""
    if receipt.rejections:
        raise InvalidArgument(receipt.rejections[0].reason)


def _watched(file: Path, model: str | None, progress: Progress | None) -> Iterator[dict[str, Any]]:
    for row, fraction in feedback_rows(file):
        if progress is not None:
            progress("sending", fraction)
        if model is not None and not row.get("model"):
            row["model"] = model
        yield row
