"""The section of the report's page on drift."""

from collections.abc import Iterator, Sequence

from augurium.batch.drift import FeatureDrift
from augurium.batch.number_texts import counted, share
from augurium.batch.page_parts import STATUSES, legend, table
from augurium.batch.report import Report
from augurium.batch.report_plots import small_histogram
from augurium.core.drawing import markup

MOST_DRIFTED = 12


def drift_section(report: Report) -> Iterator[str]:
    """Features and outputs, the worst first, with small overlaid histograms."""
    drift = report.drift
    yield "<section><h2>Drift from the training data</h2>"
    if drift.note:
        yield f"<p>{markup(drift.note)}.</p></section>"
        return
    said = f"{counted(drift.alerts, 'alert')} and {counted(drift.warnings, 'warning')}"
    yield f"<p>{said} of {len(drift.features)} features and outputs that were compared.</p>"
    yield legend("this job", "training data")
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
        part = " <small>output</small>" if one.part == "output" else ""
        said = f"Shares of {one.name}, job and training"
        rows.append(
            [
                f'<div class="name">{markup(one.name)}{part}</div>',
                *([small_histogram(said, one.bars) if one.bars else ""] if pictures else []),
                f'<span class="{one.status}">{STATUSES[one.status]}</span>',
                f"{one.psi:.3f}",
                f"{one.js:.3f}",
                share(one.missing),
                f'<div class="reasons">{markup("; ".join(one.reasons))}</div>',
            ]
        )
    return table(caption, heads, rows)
