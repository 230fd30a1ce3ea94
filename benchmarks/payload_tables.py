"""The payload benchmark as Markdown that is readable on a terminal too."""

from collections.abc import Sequence
from statistics import median

from benchmarks.arrow_load import ROWS
from benchmarks.payload_files import IMAGE_BYTES
from benchmarks.report import Reading, Report
from benchmarks.tables import OURS, settings_lines, table

THEIRS = "Triton"
MEGABYTE = 1e6


def markdown(
    report: Report, small: Sequence[str], images: Sequence[str], arrow: Sequence[str], beside: str
) -> str:
    """All tables; the arguments are names of loads."""
    sections = [
        _small(report, small),
        _images(report, images),
        _arrow(report, arrow, beside),
        settings_lines(report),
    ]
    return "\n\n".join(sections) + "\n"


def _small(report: Report, loads: Sequence[str]) -> str:
    rows = []
    for load in loads:
        rates = [_middle(report, server, load, lambda one: one.rate) for server in (OURS, THEIRS)]
        tails = [
            _middle(report, server, load, lambda one: one.figures.p99_ms)
            for server in (OURS, THEIRS)
        ]
        ratio = report.ratio(OURS, THEIRS, load)
        rows.append(
            [
                load,
                *(_shown(rate, ",.0f") for rate in rates),
                _shown(ratio, ".2f"),
                *(_shown(tail, ".2f") for tail in tails),
            ]
        )
    heads = ("1 x 100 FP32, binary", f"{OURS}, requests/s", THEIRS, "ratio", "p99 ms", "Triton's")
    return table("**Small binary requests** (medians of the rounds)", heads, rows)


def _images(report: Report, loads: Sequence[str]) -> str:
    rows = []
    for load in loads:
        cells = [load]
        for server in (OURS, THEIRS):
            rate = _middle(report, server, load, lambda one: one.rate * IMAGE_BYTES / MEGABYTE)
            cells.append(_shown(rate, ",.0f"))
        cells.append(_shown(report.ratio(OURS, THEIRS, load), ".2f"))
        for server in (OURS, THEIRS):
            peak = _middle(report, server, load, lambda one: one.figures.peak_bytes / IMAGE_BYTES)
            cells.append(_shown(peak, ".1f"))
        rows.append(cells)
    heads = ("64 x 3 x 224 x 224 FP32", f"{OURS}, MB/s", THEIRS, "ratio", "peak copies", "Triton's")
    title = (
        f"**Identity of {IMAGE_BYTES / MEGABYTE:.1f} MB** (payload each way; peak memory above idle"
        " as a multiple of the payload)"
    )
    return table(title, heads, rows)


def _arrow(report: Report, loads: Sequence[str], beside: str) -> str:
    rows = []
    for load in loads:
        rate = _middle(report, OURS, load, lambda one: one.rate * ROWS)
        p50 = _middle(report, OURS, load, lambda one: one.figures.p50_ms)
        rows.append([load, _shown(rate, ",.0f"), _shown(p50, ",.0f"), ""])
    tail = _middle(report, OURS, beside, lambda one: one.figures.p99_ms)
    rate = _middle(report, OURS, beside, lambda one: one.rate)
    rows.append(
        [beside, "", "", f"{_shown(rate, ',.0f')} requests/s, p99 {_shown(tail, '.1f')} ms"]
    )
    title = f"**Arrow tables of {ROWS:,} rows through `:predict`**"
    return table(title, ("what", "rows/s", "p50 ms a table", "single rows meanwhile"), rows)


def _middle(report: Report, server: str, load: str, reading: Reading) -> float | None:
    values = report.values(server, load, reading)
    return median(values) if values else None


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
