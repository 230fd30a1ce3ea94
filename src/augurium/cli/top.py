"""`augurium top`: what a node does, live in the terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, printable, show, size, table
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    from rich.console import Group

    from augurium.cli.rates import NodeRates, VersionRates
    from augurium.client import Client

COLUMNS = (
    *(
        "version",
        "state",
        "engines",
        "memory",
        "replicas",
        "req/s",
        "rows/s",
        "rows/run",
        "errors/s",
    ),
    *("p50 ms", "p99 ms", "waiting", "cache", "loads", "evictions"),
)
# header, summary, column names and the line of keys
OTHER_LINES = 8
KEYS = {"r": "rate", "m": "memory", "l": "latency", "w": "waiting", "n": "name"}
ORDERS: "dict[str, Callable[[VersionRates], object]]" = {
    "rate": lambda one: (-one.requests_per_s, -one.now.last_inference_at, one.name),
    "memory": lambda one: (-one.now.resident_bytes, one.name),
    "latency": lambda one: (-(one.p99_ms or 0.0), one.name),
    "waiting": lambda one: (-one.now.pending, -one.requests_per_s, one.name),
    "name": lambda one: one.name,
}
ENDS = frozenset({"q", "Q", "\x03", "\x04"})


def top(
    sort: Annotated[
        str, typer.Option(metavar="ORDER", help=f"What comes first: {', '.join(ORDERS)}.")
    ] = "rate",
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.2, help="How long is measured each time.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Measure once, print all versions and end.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Shows models, where they are, rates, latencies, queues and memory, live.

    The keys r, m, l, w and n sort by rate, memory, latency, waiting requests and name; q ends it.
    Without a terminal it measures once.
    """
    from augurium.cli.rates import rates
    from augurium.client import Client

    if sort not in ORDERS:
        raise InvalidArgument(f"--sort is one of {', '.join(ORDERS)}, not '{sort}'")
    with Client() as client:
        if json or once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            before = client.activity()
            time.sleep(interval)
            measured = rates(before, client.activity())
            if json:
                print_json(measured)
            else:
                show(_screen(measured, sort, None))
        else:
            _live(client, sort, interval)


def _live(client: "Client", sort: str, interval_s: float) -> None:
    from rich.live import Live

    from augurium.cli.rates import rates

    before = client.activity()
    measured = rates(before, before)
    with _keys() as pressed, Live(screen=True, auto_refresh=False) as live:
        while True:
            lines = max(1, live.console.height - OTHER_LINES)
            live.update(_screen(measured, sort, lines), refresh=True)
            key = pressed(interval_s)
            if key in ENDS:
                return
            if key in KEYS:
                sort = KEYS[key]
            if not key:
                after = client.activity()
                measured, before = rates(before, after), after


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Keys as they are pressed: a function that waits so many seconds for one, empty for none."""
    import select
    import termios
    import tty

    terminal = sys.stdin.fileno()
    settings = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)

    def pressed(seconds: float) -> str:
        with suppress(InterruptedError):
            if select.select([sys.stdin], [], [], seconds)[0]:
                return sys.stdin.read(1) or "q"
        return ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, settings)


def _screen(measured: "NodeRates", sort: str, lines: int | None) -> "Group":
    from rich.console import Group
    from rich.text import Text

    versions = sorted(measured.versions, key=ORDERS[sort])  # type: ignore[arg-type]
    shown = versions[:lines]
    texts = [Text(printable(line)) for line in _summary(measured)]
    hidden = len(versions) - len(shown)
    if lines is not None:
        more = f"{hidden} more versions; " if hidden else ""
        texts.append(Text(f"{more}sorted by {sort} (r m l w n), q ends", style="dim"))
    return Group(*texts, table(COLUMNS, map(_row(measured.engines), shown)))


def _summary(measured: "NodeRates") -> Iterator[str]:
    models = size(measured.resident_bytes)
    if measured.budget_bytes:
        models += f" of {size(measured.budget_bytes)}"
    yield (
        f"{measured.engines} of {measured.engines_known} engines, {measured.cpu_cores:.2f} cores,"
        f" memory {size(measured.memory_bytes)} (models {models})"
    )
    yield (
        f"{measured.requests_per_s:,.0f} requests/s, {measured.errors_per_s:,.1f} errors/s,"
        f" {measured.pending} waiting"
    )
    states = ", ".join(f"{count} {state}" for state, count in sorted(measured.states.items()))
    for device in measured.devices:
        busy = "" if device.utilization is None else f", {device.utilization:.0%} busy"
        yield (
            f"{device.device} {device.name}{busy}, memory {size(device.used_bytes)}"
            f" of {size(device.total_bytes)}"
        )
    yield f"{len(measured.versions)} versions" + (f": {states}" if states else "")


def _row(engines: int) -> "Callable[[VersionRates], tuple[object, ...]]":
    def row(one: "VersionRates") -> tuple[object, ...]:
        now = one.now
        state = f"{now.state}, pinned" if now.pinned else now.state
        return (
            one.name,
            f"{state}: {now.reason}" if now.reason else state,
            f"{now.engines}/{engines}",
            size(now.resident_bytes) if now.resident_bytes else None,
            now.replicas or None,
            f"{one.requests_per_s:,.0f}",
            f"{one.rows_per_s:,.0f}",
            _decimal(one.rows_per_run),
            f"{one.errors_per_s:.1f}" if one.errors_per_s else "0",
            _decimal(one.p50_ms),
            _decimal(one.p99_ms),
            now.pending,
            None if one.cache_hit_share is None else f"{one.cache_hit_share:.0%}",
            now.loads,
            now.evictions,
        )

    return row


def _decimal(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
