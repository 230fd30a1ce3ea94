"""`augurium batch pause`, `resume`, `cancel` and `retry`."""

from typing import TYPE_CHECKING

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_page import standing
from augurium.cli.batch_watch import Which
from augurium.cli.output import print_json, remark

if TYPE_CHECKING:
    from augurium.client.batch_calls import Order


def pause(which: Which, json: JsonFlag = False) -> None:
    """Lets a job rest; what is committed stays."""
    _order(which, "pause", json)


def resume(which: Which, json: JsonFlag = False) -> None:
    """Lets a paused job go on behind what is committed."""
    _order(which, "resume", json)


def cancel(which: Which, json: JsonFlag = False) -> None:
    """Ends a job; nothing of it becomes visible."""
    _order(which, "cancel", json)


def retry(which: Which, json: JsonFlag = False) -> None:
    """Queues a job again that failed or was cancelled; what is committed is not done again."""
    _order(which, "retry", json)


def _order(which: str, order: "Order", json: bool) -> None:
    from augurium.client import Client

    with Client() as client:
        done = client.order_batch_job(which, order)
    if json:
        print_json(done)
    else:
        remark(f"job {done.id} of {done.model}@{done.version}: {standing(done)}")
