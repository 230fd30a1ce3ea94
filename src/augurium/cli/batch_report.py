"""The report of a batch job in a terminal: what matters of it, a line each."""

from typing import TYPE_CHECKING

from augurium.cli.batch_page import duration
from augurium.cli.output import printable, size
from augurium.core.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from augurium.batch.distributions import Distribution
    from augurium.batch.drift import FeatureDrift
    from augurium.batch.report import Report

MOST_CLASSES = 4
MOST_ROWS = 5
# of a histogram
COLUMNS = 20


def report_lines(report: "Report") -> "Iterator[tuple[str, object]]":
    """All that a report says in few words; the rest is in its JSON, and in the page with plots."""
    rows = report.rows
    yield "job", report.job
    yield "model", f"{report.model}@{report.version}, {report.runtime}, {report.engine} engine"
    yield "answered", f"{rows.written:,} of {rows.read:,} rows"
    if rows.filtered:
        yield "left out", f"{rows.filtered:,} by the filter"
    for one in report.rejects[:MOST_ROWS]:
        yield "set aside", f"{one.rows:,} {one.kind}{f' in {one.column}' if one.column else ''}"
    yield "time", f"{duration(report.wall_s)}, {rows.per_s:,.0f} rows/s, {report.workers} workers"
    yield "cores", f"{duration(report.core_s)}{_price(report)}"
    yield "stages", ", ".join(f"{stage.name} {stage.seconds:.1f} s" for stage in report.stages)
    files = report.files
    yield "read", f"{files.input_files:,} files, {size(files.input_bytes)}"
    yield "written", f"{files.output_files:,} files, {size(files.output_bytes)}"
    for output in report.outputs:
        yield f"answers {printable(output.name)}", _distribution(output)
    for null in sorted(report.nulls, key=lambda null: -null.rows)[:MOST_ROWS]:
        if null.rows:
            yield "missing", f"{printable(null.feature)} in {null.share:.2%} of the rows"
    yield from _drift(report)


def _price(report: "Report") -> str:
    cost = report.cost
    if cost.total is None or cost.per_million is None:
        return ""
    return f", {cost.total:.4g} in all, {cost.per_million:.4g} for a million answers"


def _distribution(output: "Distribution") -> str:
    if output.classes:
        shares = ", ".join(
            f"{printable(one.label)} {one.rows / max(1, output.rows):.1%}"
            for one in output.classes[:MOST_CLASSES]
        )
        return shares + (", ..." if len(output.classes) > MOST_CLASSES else "")
    if output.mean is None:
        return f"{output.nulls + output.nan:,} without a value"
    bars = sparkline(output.counts, COLUMNS) if output.counts else ""
    return f"{bars} {output.min:.4g} to {output.max:.4g}, mean {output.mean:.4g}"


def _drift(report: "Report") -> "Iterator[tuple[str, object]]":
    drift = report.drift
    if drift.note:
        yield "drift", drift.note
        return
    yield (
        "drift",
        f"{drift.alerts} alerts, {drift.warnings} warnings of {len(drift.features)} compared",
    )
    for feature in drift.features[:MOST_ROWS]:
        if feature.status != "ok":
            yield f"  {feature.status}", _moved(feature)


def _moved(feature: "FeatureDrift") -> str:
    why = f": {feature.reasons[0]}" if feature.reasons else ""
    return printable(f"{feature.part} {feature.name}, PSI {feature.psi:.3f}{why}")
