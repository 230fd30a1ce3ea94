"""`augurium rollout pause`, `resume`, `promote` and `abort`."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, remark
from augurium.cli.rollout_watch import Which

if TYPE_CHECKING:
    from augurium.client.rollout_calls import Order

Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit log.")]


def pause(which: Which, reason: Reason = "", json: JsonFlag = False) -> None:
    """Keeps the weights of a rollout as they are until it is resumed; hard limits hold on."""
    _order(which, "pause", reason, json)


def resume(which: Which, reason: Reason = "", json: JsonFlag = False) -> None:
    """Lets a paused rollout go on."""
    _order(which, "resume", reason, json)


def promote(which: Which, reason: Reason = "", json: JsonFlag = False) -> None:
    """Makes a rollout's version the default now, without waiting for a verdict."""
    _order(which, "promote", reason, json)


def abort(which: Which, reason: Reason = "", json: JsonFlag = False) -> None:
    """Gives all requests back to the version that had them before the rollout."""
    _order(which, "abort", reason, json)


def _order(which: str, order: "Order", reason: str, json: bool) -> None:
    from augurium.client import Client

    with Client() as client:
        done = client.order_rollout(which, order, reason)
    if json:
        print_json(done)
    else:
        remark(f"{done.kind} of {done.model}@{done.version}: {done.status}")
