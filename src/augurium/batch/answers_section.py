"""The section of the report's page on the answers of the model."""

from collections.abc import Iterator

from augurium.batch.distributions import Distribution
from augurium.batch.number_texts import count, share
from augurium.batch.page_parts import legend, table
from augurium.batch.report import Report
from augurium.batch.report_plots import Length, bars, histogram
from augurium.core.drawing import markup

MOST_OUTPUTS = 12
MOST_CLASSES = 12
QUANTILE_NAMES = {
    "0.01": "1 %",
    "0.05": "5 %",
    "0.25": "25 %",
    "0.5": "median",
    "0.75": "75 %",
    "0.95": "95 %",
    "0.99": "99 %",
}


def answers_section(report: Report) -> Iterator[str]:
    """A histogram or bars for every output."""
    if not report.outputs and not report.outputs_left_out:
        return
    yield "<section><h2>Answers</h2>"
    if any(output.training for output in report.outputs):
        yield legend("answers of this job", "answers to the training data")
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
    return table(
        f"Moments and quantiles of {output.name}",
        [name for name, _ in shown],
        [[f"{value:.4g}" for _, value in shown]],
    )
