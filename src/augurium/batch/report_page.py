"""The report of a batch job as a page of HTML: one file, plots inside, light or dark as its reader
has it. Nothing in it runs and nothing is fetched.
"""

from collections.abc import Iterable, Iterator, Sequence

from augurium.batch.distributions import Distribution
from augurium.batch.drift import FeatureDrift
from augurium.batch.number_texts import amount, count, counted, duration, share, size
from augurium.batch.page_style import STYLE
from augurium.batch.report import Report
from augurium.batch.report_plots import Length, bars, histogram, shares, small_histogram
from augurium.core.drawing import markup

MOST_OUTPUTS = 12
MOST_CLASSES = 12
MOST_DRIFTED = 12
MOST_NULLS = 12
QUANTILE_NAMES = {
    "0.01": "1 %",
    "0.05": "5 %",
    "0.25": "25 %",
    "0.5": "median",
    "0.75": "75 %",
    "0.95": "95 %",
    "0.99": "99 %",
}
KINDS = {
    "malformed": "no row of the format",
    "wrong_type": "a value of another type",
    "missing": "a value is missing",
    "not_in_signature": "a value the signature does not allow",
    "too_long": "too long",
    "model_failed": "the model failed on it",
}
STATUSES = {
    "ok": "✓ ok",
    "warn": "▲ warning",
    "alert": "■ alert",
    "insufficient_data": "? too few rows",
}


def report_page(report: Report) -> str:
    """The whole page."""
    name = f"{report.model}@{report.version}"
    parts = [
        *_head(f"Batch report: {name}"),
        f"<header><h1>{markup(name)}</h1>",
        f"<p>Batch job {markup(report.job)}, answers in <code>{markup(report.output)}</code></p>",
        "</header><main>",
        *_figures(report),
        *_rows(report),
        *_outputs(report),
        *_drift(report),
        *_stages(report),
        *_nulls(report),
        *_rejects(report),
        *_facts(report),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _head(title: str) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{markup(title)}</title><style>{STYLE}</style></head><body>"


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


def _outputs(report: Report) -> Iterator[str]:
    if not report.outputs and not report.outputs_left_out:
        return
    yield "<section><h2>Answers</h2>"
    if any(output.training for output in report.outputs):
        yield _legend("answers of this job", "answers to the training data")
    for output in report.outputs[:MOST_OUTPUTS]:
        yield from _output(output)
    if len(report.outputs) > MOST_OUTPUTS:
        rest = ", ".join(output.name for output in report.outputs[MOST_OUTPUTS:])
        yield f"<p>Not drawn, but in the report: {markup(rest)}.</p>"
    if report.outputs_left_out:
        names = ", ".join(report.outputs_left_out)
        yield f"<p>Of too many values to be counted one by one: {markup(names)}.</p>"
    yield "</section>"


def _output(output: Distribution) -> Iterator[str]:
    yield f"<h3>{markup(output.name)}</h3>"
    odd = [
        f"{count(number)} {name}"
        for name, number in (
            ("null", output.nulls),
            ("not a number", output.nan),
            ("infinite", output.infinite),
        )
        if number
    ]
    if odd:
        yield f'<p class="warn">Of {count(output.rows)} answers: {", ".join(odd)}.</p>'
    if output.classes:
        yield _classes(output)
    elif output.counts:
        said = f"Histogram of {output.name}: median {output.quantiles['0.5']:.4g}"
        scale = ", on a logarithmic scale" if output.logarithmic else ""
        yield histogram(said + scale, output)
        yield _moments(output)


def _classes(output: Distribution) -> str:
    shown = output.classes[:MOST_CLASSES]
    rest = sum(one.rows for one in output.classes[MOST_CLASSES:]) + output.other_classes
    total = output.rows or 1
    lengths = [
        Length(
            one.label,
            one.rows,
            f"{count(one.rows)} ({share(one.rows / total)})",
            None if one.training is None else one.training * total,
        )
        for one in shown
    ]
    if rest:
        lengths.append(Length("others", rest, f"{count(rest)} ({share(rest / total)})"))
    return bars(f"Answers of {output.name} by value", lengths)


def _moments(output: Distribution) -> str:
    cells = [("mean", output.mean), ("deviation", output.deviation), ("least", output.min)]
    cells += [(name, output.quantiles.get(key)) for key, name in QUANTILE_NAMES.items()]
    cells.append(("most", output.max))
    shown = [(name, value) for name, value in cells if value is not None]
    return _table(
        f"Moments and quantiles of {output.name}",
        [name for name, _ in shown],
        [[f"{value:.4g}" for _, value in shown]],
        hidden=True,
    )


def _drift(report: Report) -> Iterator[str]:
    drift = report.drift
    yield "<section><h2>Drift from the training data</h2>"
    if drift.note:
        yield f"<p>{markup(drift.note)}.</p></section>"
        return
    said = f"{counted(drift.alerts, 'alert')} and {counted(drift.warnings, 'warning')}"
    yield f"<p>{said} of {len(drift.features)} features and outputs that were compared.</p>"
    yield _legend("this job", "training data")
    shown, rest = drift.features[:MOST_DRIFTED], drift.features[MOST_DRIFTED:]
    yield _drift_table("Features and outputs, the worst first", shown, pictures=True)
    if rest:
        yield f"<details><summary>{len(rest)} more</summary>"
        yield _drift_table("The other features and outputs", rest, pictures=False)
        yield "</details>"
    yield "</section>"


def _drift_table(caption: str, found: Sequence[FeatureDrift], pictures: bool) -> str:
    heads = ["name", "", "PSI", "JS distance", "missing", "what was found"]
    if pictures:
        heads.insert(1, "distribution")
    rows = []
    for one in found:
        name = markup(one.name) + (" <small>output</small>" if one.part == "output" else "")
        said = f"Shares of {one.name}, job and training"
        rows.append(
            [
                name,
                *([small_histogram(said, one.bars) if one.bars else ""] if pictures else []),
                f'<span class="{one.status}">{STATUSES[one.status]}</span>',
                f"{one.psi:.3f}",
                f"{one.js:.3f}",
                share(one.missing),
                markup("; ".join(one.reasons)),
            ]
        )
    return _table(caption, heads, rows, hidden=True)


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
    rows = [
        [markup(KINDS.get(one.kind, one.kind)), markup(one.column), count(one.rows)]
        for one in report.rejects
    ]
    yield _table("Rows set aside, by reason", ["reason", "column", "rows"], rows, hidden=True)
    if report.rejected_examples:
        examples = [
            [
                f"<code>{markup(row.file)}</code>",
                count(row.row),
                markup(row.column),
                markup(row.reason),
            ]
            for row in report.rejected_examples
        ]
        yield "<details open><summary>Examples</summary>"
        yield _table("Examples", ["file", "row", "column", "why"], examples, hidden=True)
        yield "</details>"
    yield "</section>"


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


def _legend(filled: str, outlined: str) -> str:
    return (
        f'<p class="legend"><span><i class="job"></i>{filled}</span> '
        f'<span><i class="outline"></i>{outlined}</span></p>'
    )


def _table(
    caption: str, heads: Iterable[str], rows: Iterable[Sequence[str]], hidden: bool = False
) -> str:
    """A table; its caption is read out even where it is not shown."""
    kind = ' class="unseen"' if hidden else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption{kind}>{markup(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
