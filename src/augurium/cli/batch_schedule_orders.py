"""`augurium batch schedule pause`, `resume`, `run` and `delete`."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_schedule_create import Name
from augurium.cli.batch_schedule_page import next_sentence
from augurium.cli.output import print_json, remark

if TYPE_CHECKING:
    from augurium.client.batch_schedule_calls import ScheduleOrder
    from augurium.client.batch_schedule_results import ScheduledRuns


def pause(name: Name, json: JsonFlag = False) -> None:
    """Begins no more jobs of a schedule until it is resumed; the one that runs goes on."""
    _order(name, "pause", json)


def resume(name: Name, json: JsonFlag = False) -> None:
    """Lets a paused schedule go on: with what it missed if it catches up, else with what comes."""
    _order(name, "resume", json)


def run(
    name: Name,
    span: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="FIRST..LAST",
            help="Intervals that begin on these days, such as 2026-11-01..2026-11-05, or times.",
        ),
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Also those that had a job already.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Runs the interval that ended last, now; or with --for those of the past, one by one."""
    from augurium.client import Client

    first, _, last = span.partition("..")
    with Client() as client:
        # who names no interval wants it whether or not it had a job
        ordered = client.run_batch_schedule(name, first, last or first, again or not span)
    if json:
        print_json(ordered)
    else:
        remark(_said(name, ordered))


def delete(name: Name, json: JsonFlag = False) -> None:
    """Forgets a schedule, its runs and the files that it has seen; its jobs stay."""
    from augurium.client import Client

    with Client() as client:
        gone = client.delete_batch_schedule(name)
    if json:
        print_json(gone)
    else:
        remark(f"schedule {gone.name} is deleted; its jobs stay")


def _order(name: str, order: "ScheduleOrder", json: bool) -> None:
    from augurium.client import Client

    with Client() as client:
        done = client.order_batch_schedule(name, order)
    if json:
        print_json(done)
    else:
        remark(next_sentence(done))


def _said(name: str, ordered: "ScheduledRuns") -> str:
    count = len(ordered.runs)
    left_out = f"{ordered.left_out} had a job already; --again runs them again"
    if not count:
        return f"nothing to run: {left_out}"
    said = f"{count} {'run' if count == 1 else 'runs'} wait for their turn; see"
    said += f" `augurium batch schedule show {name}`"
    return f"{said}; {left_out}" if ordered.left_out else said
