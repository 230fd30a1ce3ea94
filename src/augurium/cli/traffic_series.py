"""`augurium traffic series`: what the variants of a model did."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag, duration
from augurium.cli.output import print_json, print_table, remark
from augurium.core.sparkline import sparkline

if TYPE_CHECKING:
    from augurium.client.series_calls import ModelSeries, SeriesPoint, VariantTotals

COLUMNS = (
    *("variant", "version", "requests", "errors", "95 %", "over SLO", "degraded"),
    *("p50 ms", "p99 ms", "score", "requests", "errors", "p99"),
)
WIDTH = 24
HOUR_S, DAY_S = 3600, 86400
# up to which length of time a step is the one that is meant
MINUTES_S, HOURS_S = 3 * HOUR_S, 7 * DAY_S


class Step(StrEnum):
    """How long a step is."""

    minute = "1m"
    hour = "1h"
    day = "1d"


def series(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How long ago it begins, such as 30m, 24h or 7d.")
    ] = "1h",
    step: Annotated[
        Step | None,
        typer.Option(help="How long each step is; by what is asked for if not given."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only this version.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Only what is called so.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows what the variants of a model did: how many requests, how well, and how it went on."""
    from augurium.client import Client

    seconds = duration(since)
    wanted = step or _step(seconds)
    with Client() as client:
        start = datetime.now(UTC) - timedelta(seconds=seconds)
        found = client.series(name, start, None, wanted.value, version, variant)
    if json:
        print_json(found)
        return
    if not found.variants:
        remark(f"Nothing was asked of '{name}' in the last {since}.")
        return
    print_table(COLUMNS, rows(found))
    remark(f"From {found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC by {wanted}.")


def rows(found: "ModelSeries") -> Iterator[Sequence[object]]:
    """A row of the table for each variant."""
    first, last = found.start.timestamp(), found.end.timestamp()
    steps = range(int(first), int(last) + 1, found.step_s)
    for totals in found.variants:
        points = {
            int(point.at.timestamp()): point
            for point in found.points
            if (point.version, point.variant) == (totals.version, totals.variant)
        }
        yield (*_cells(totals), *_lines([points.get(at) for at in steps]))


def _cells(totals: "VariantTotals") -> Sequence[object]:
    rate = totals.error_rate
    return (
        totals.variant or "(none)",
        totals.version,
        totals.requests,
        "-" if rate is None else f"{rate.rate:.2%}",
        "-" if rate is None else f"{rate.low:.2%} to {rate.high:.2%}",
        totals.slo_breaches,
        totals.degraded,
        totals.p50_ms,
        totals.p99_ms,
        totals.score_mean,
    )


def _lines(points: Sequence["SeriesPoint | None"]) -> Iterator[str]:
    measures: tuple[Callable[[SeriesPoint], float], ...] = (
        lambda point: point.requests,
        lambda point: point.errors,
        lambda point: point.p99_ms or 0.0,
    )
    for measure in measures:
        yield sparkline([0.0 if point is None else measure(point) for point in points], WIDTH)


def _step(seconds: float) -> Step:
    if seconds <= MINUTES_S:
        return Step.minute
    return Step.hour if seconds <= HOURS_S else Step.day
