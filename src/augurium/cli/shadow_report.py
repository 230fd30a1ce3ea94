"""A shadow's report for people: how its answers differ, with rows side by side."""

import sys
from typing import TYPE_CHECKING

from augurium.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from augurium.client.shadow_results import (
        Latency,
        Shadow,
        ShadowOutput,
        ShadowPair,
        ShadowReport,
    )

OUTPUT_COLUMNS = ("output", "rows", "differ", "mean", "p99", "largest", "what else")
EXAMPLE_COLUMNS = ("difference", "output", "input", "baseline", "shadow", "request")
# pairs of labels that are not the same
MOST_PAIRS = 5
PERCENT = 100


def shadow_page(report: "ShadowReport") -> "RenderableType":
    """Shadows that there are now, and what they and earlier ones have shown."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_shadow(shadow)) for shadow in report.shadows]
    if not report.shadows:
        parts.append(Text("no shadow now"))
    if not report.pairs:
        parts.append(Text("nothing compared yet"))
    for pair in report.pairs:
        parts += [Text(), *_pair(pair)]
    return Group(*parts)


def _shadow(shadow: "Shadow") -> str:
    beside = "the default version" if shadow.baseline == "default" else "whatever version answers"
    return f"version {shadow.version} gets {shadow.percent:g} % of the requests, beside {beside}"


def _pair(pair: "ShadowPair") -> "Iterator[RenderableType]":
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, value in _fields(pair):
        if value:
            grid.add_row(name, value)
    yield grid
    yield table(OUTPUT_COLUMNS, map(_output, pair.outputs))
    if pair.examples:
        yield table(
            EXAMPLE_COLUMNS,
            [
                (
                    _difference(example.difference),
                    *(example.output, example.input, example.baseline, example.shadow),
                    example.request_id or None,
                )
                for example in pair.examples
            ],
        )


def _fields(pair: "ShadowPair") -> "Iterator[tuple[str, str]]":
    yield "pair", f"version {pair.version} beside version {pair.baseline}"
    yield "time", f"{pair.since:%Y-%m-%d %H:%M:%S} to {pair.until:%Y-%m-%d %H:%M:%S} UTC"
    compare = pair.compare
    yield (
        "same when",
        f"the highest {compare.top_k} items are the same"
        if compare.ranking
        else f"within {compare.absolute:g} + {compare.relative:g} of the number",
    )
    if pair.agreement is not None:
        value, low, high = (
            share * PERCENT
            for share in (pair.agreement.value, pair.agreement.low, pair.agreement.high)
        )
        yield (
            "agreement",
            f"{value:.3g} % of {pair.rows} rows ({low:.3g} % to {high:.3g} %),"
            f" {pair.rows - pair.agreeing} differ",
        )
    yield "copies", f"{pair.answered} answered by both, {pair.both_failed} failed in both"
    yield "failed", _counts(pair.failed)
    yield "rescued", _counts(pair.rescued)
    yield "dropped", _counts(pair.dropped)
    yield "shadow", _latency(pair.shadow_latency)
    yield "baseline", _latency(pair.baseline_latency)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _latency(latency: "Latency | None") -> str:
    return f"p50 {latency.p50_ms:.3g} ms, p99 {latency.p99_ms:.3g} ms" if latency else ""


def _output(output: "ShadowOutput") -> tuple[object, ...]:
    return (
        *(output.name, output.rows, output.differing),
        *(output.mean_difference, output.p99_difference, output.largest_difference),
        "; ".join(_remarks(output)) or None,
    )


def _remarks(output: "ShadowOutput") -> "Iterator[str]":
    if output.unlike:
        yield f"unlike: {_counts(output.unlike)}"
    if output.not_finite:
        yield f"{output.not_finite} not finite"
    if output.kendall_tau is not None:
        yield f"Kendall's tau {output.kendall_tau:.3g}, overlap {output.overlap or 0:.3g}"
    changed = [
        (count, f"{before} -> {after} {count}")
        for before, found in output.labels.items()
        for after, count in found.items()
        if before != after
    ]
    yield from (text for _, text in sorted(changed, reverse=True)[:MOST_PAIRS])


def _difference(difference: float) -> object:
    return "unlike" if difference == sys.float_info.max else difference
