"""The report of a batch job as a page of HTML: one file, plots inside, light or dark as its reader
has it. Nothing in it runs and nothing is fetched.
"""

from collections.abc import Iterator, Sequence

from augurium.batch.answers_section import answers_section
from augurium.batch.drift_section import drift_section
from augurium.batch.number_texts import amount, count, counted, duration, share, size
from augurium.batch.page_parts import STATUSES, head, table
from augurium.batch.report import Rejects, Report
from augurium.batch.report_plots import Length, bars, shares
from augurium.core.drawing import markup

MOST_NULLS = 12
MOST_REJECTS = 12
KINDS = {
    "malformed": "no row of the format",
    "wrong_type": "a value of another type",
    "missing": "a value is missing",
    "not_in_signature": "a value the signature does not allow",
    "too_long": "too long",
    "model_failed": "the model failed on it",
}


def report_page(report: Report) -> str:
    """The whole page."""
    name = f"{report.model}@{report.version}"
    parts = [
        *head(f"Batch report: {name}"),
        f"<header><h1>{markup(name)}</h1>",
        f"<p>Batch job {markup(report.job)}, answers in <code>{markup(report.output)}</code></p>",
        "</header><main>",
        *_figures(report),
        *_rows(report),
        *answers_section(report),
        *drift_section(report),
        *_stages(report),
        *_nulls(report),
        *_rejects(report),
        *_facts(report),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _figures(report: Report) -> Iterator[str]:
    """The few numbers that are looked for first."""
    rows, cost = report.rows, report.cost
    drift = report.drift
    found = [
        ("rows read", count(rows.read), counted(report.partitions, "partition")),
        ("rows per second", count(round(rows.per_s)), f"in {duration(report.wall_s)}"),
        ("answers", count(rows.written), share(rows.written / (rows.read or 1))),
        ("set aside", count(rows.rejected), share(rows.rejected / (rows.read or 1))),
    ]
    if cost.total is None:
        found.append(("core hours", f"{cost.core_hours:.3g}", "no price is set"))
    else:
        per_million = cost.per_million or 0.0
        found.append(("cost", amount(cost.total), f"{amount(per_million)} per million"))
    if drift.features:
        worst = "alerts" if drift.alerts else "warnings"
        kind = "alert" if drift.alerts else "warn" if drift.warnings else "ok"
        said = f"of {len(drift.features)} compared"
        found.append((f"drift {worst}", _status(kind, drift.alerts or drift.warnings), said))
    tiles = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{markup(more)}</small></dd></div>"
        for name, value, more in found
    )
    yield f'<dl class="figures">{tiles}</dl>'


def _status(kind: str, number: int) -> str:
    sign = STATUSES[kind].split()[0]
    return f'<span class="{kind}">{sign} {count(number)}</span>'


def _rows(report: Report) -> Iterator[str]:
    rows = report.rows
    parts = [
        ("job", "answered", rows.written),
        ("filtered", "filtered out", rows.filtered),
        ("rejected", "set aside", rows.rejected),
    ]
    said = ", ".join(f"{count(number)} {name}" for _, name, number in parts)
    yield '<section><h2>What became of the rows</h2><p class="legend">'
    yield " ".join(
        f'<span><i class="{kind}"></i>{count(number)} {name}</span>' for kind, name, number in parts
    )
    yield f"</p>{shares(said, parts)}</section>"


def _stages(report: Report) -> Iterator[str]:
    stages = [stage for stage in report.stages if stage.seconds > 0]
    if not stages:
        return
    total = sum(stage.seconds for stage in stages)
    lengths = [
        Length(
            stage.name,
            stage.seconds,
            f"{duration(stage.seconds)} ({share(stage.seconds / total)})",
        )
        for stage in stages
    ]
    workers = counted(report.workers, "worker") if report.workers else "all workers"
    yield "<section><h2>Where the time went</h2>"
    yield f"<p>Busy seconds of {workers}, added up; stages overlap.</p>"
    yield bars("Busy seconds by stage", lengths)
    yield "</section>"


def _nulls(report: Report) -> Iterator[str]:
    found = [one for one in report.nulls if one.rows]
    yield "<section><h2>Missing values</h2>"
    if not found:
        yield f"<p>None of {len(report.nulls)} features had a null or NaN.</p></section>"
        return
    yield f"<p>{len(found)} of {len(report.nulls)} features had nulls or NaN.</p>"
    shown = [
        Length(one.feature, one.share, f"{share(one.share)} ({count(one.rows)})")
        for one in found[:MOST_NULLS]
    ]
    yield bars("Shares of rows in which features are missing", shown, most=1.0)
    if len(found) > MOST_NULLS:
        rest = ", ".join(f"{one.feature} {share(one.share)}" for one in found[MOST_NULLS:])
        yield f"<details><summary>{len(found) - MOST_NULLS} more</summary>"
        yield f"<p>{markup(rest)}</p></details>"
    yield "</section>"


def _rejects(report: Report) -> Iterator[str]:
    yield "<section><h2>Rows that were set aside</h2>"
    if not report.rejects:
        yield "<p>None.</p></section>"
        return
    shown, rest = report.rejects[:MOST_REJECTS], report.rejects[MOST_REJECTS:]
    yield _reject_table("Rows set aside, by reason", shown)
    if rest:
        yield f"<details><summary>{len(rest)} more</summary>"
        yield _reject_table("Other reasons", rest)
        yield "</details>"
    if report.rejected_examples:
        yield "<details open><summary>Examples</summary>"
        yield _examples(report)
        yield "</details>"
    yield "</section>"


def _reject_table(caption: str, found: Sequence[Rejects]) -> str:
    rows = [
        [markup(KINDS.get(one.kind, one.kind)), markup(one.column), count(one.rows)]
        for one in found
    ]
    return table(caption, ["reason", "column", "rows"], rows)


def _examples(report: Report) -> str:
    rows = [
        [
            f"<code>{markup(row.file)}</code>",
            count(row.row),
            markup(row.column),
            markup(row.reason),
        ]
        for row in report.rejected_examples
    ]
    return table("Examples", ["file", "row", "column", "why"], rows)


def _facts(report: Report) -> Iterator[str]:
    files, cost = report.files, report.cost
    found = [
        ("runtime", f"{report.runtime}, {report.engine} engine"),
        ("workers", f"{report.workers}, batches of {count(report.batch_size)} rows"),
        ("read", f"{counted(files.input_files, 'file')}, {size(files.input_bytes)}"),
        ("written", f"{counted(files.output_files, 'file')}, {size(files.output_bytes)}"),
        ("time", f"{duration(report.wall_s)}, {duration(report.core_s)} of cores"),
    ]
    if cost.per_core_hour is not None and cost.per_thousand is not None:
        price = amount(cost.per_core_hour)
        found.append(("cost of 1000 answers", f"{amount(cost.per_thousand)} at {price} an hour"))
    yield "<section><h2>The job</h2><dl>"
    yield "".join(f"<dt>{name}</dt><dd>{markup(value)}</dd>" for name, value in found)
    yield "</dl></section>"
