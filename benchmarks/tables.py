"""A report as Markdown that is readable on a terminal too."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from benchmarks.report import Reading, Report

OURS = "Augurium"
KEEPS_UP = 0.99
NOTHING = "-"

Cell = Callable[[str, str], str]  # of a server and a load


def markdown(report: Report) -> str:
    """All tables of a report, then the settings and versions behind them."""
    sections = [_throughput(report), _ratios(report), _tail(report), _open_loop(report)]
    sections += [_cpu(report), settings_lines(report)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _throughput(report: Report) -> str:
    def cell(server: str, load: str) -> str:
        rates = report.values(server, load, lambda one: one.rate)
        if not rates:
            return NOTHING
        middle = median(rates)
        return f"{middle:,.0f} ±{(max(rates) - min(rates)) / 2 / middle:.0%}"

    title = f"**Right answers a second** (median of {report.rounds} rounds, ± half the range)"
    return _by_load(title, report, report.servers(), cell)


def _ratios(report: Report) -> str:
    others = [server for server in report.servers() if server != OURS]
    if len(others) == len(report.servers()):
        return ""

    def cell(server: str, load: str) -> str:
        ratio = report.ratio(OURS, server, load)
        return NOTHING if ratio is None else f"x{ratio:.2f}"

    title = f"**{OURS} as a multiple of each** (median of the ratios within a round)"
    return _by_load(title, report, others, cell)


def _tail(report: Report) -> str:
    def cell(server: str, load: str) -> str:
        readings: list[Reading] = [lambda one: one.figures.p50_ms, lambda one: one.figures.p99_ms]
        values = [report.median(server, load, reading) for reading in readings]
        return " / ".join(NOTHING if value is None else f"{value:.2f}" for value in values)

    return _by_load("**Latency p50 / p99, ms**", report, report.servers(), cell)


def _cpu(report: Report) -> str:
    def cell(server: str, load: str) -> str:
        ours = report.median(server, load, lambda one: one.server_cores)
        generator = report.median(server, load, lambda one: one.generator_cores)
        return NOTHING if ours is None else f"{ours:.2f} + {generator:.2f}"

    return _by_load("**Cores used: server + load generator**", report, report.servers(), cell)


def _open_loop(report: Report) -> str:
    sections = []
    for load in _open_loads(report):
        servers = [
            server
            for server in report.servers()
            if report.values(server, load, lambda one: one.rate)
        ]
        rows = [[server, *_open_cells(report, server, load)] for server in servers]
        title = f"**{load}** (Poisson arrivals, latency from the time a request was due)"
        heads = ("server", "answered", "p50 ms", "p99 ms", "p99.9 ms", "cores", "generator")
        sections.append(table(title, heads, rows))
    return "\n\n".join(sections)


def _open_cells(report: Report, server: str, load: str) -> list[str]:
    def middle(reading: Reading) -> float:
        return median(report.values(server, load, reading))

    share = middle(lambda one: one.figures.answered / one.figures.due)
    lag = middle(lambda one: one.figures.lag_p99_ms)
    generator = f"{middle(lambda one: one.generator_cores):.2f} cores, late p99 {lag:.2f} ms"
    latencies = [
        middle(lambda one: one.figures.p50_ms),
        middle(lambda one: one.figures.p99_ms),
        middle(lambda one: one.figures.p999_ms),
    ]
    return [
        f"{share:.1%}" if share >= KEEPS_UP else f"{share:.1%}, cannot keep up",
        *(f"{latency:,.2f}" for latency in latencies),
        f"{middle(lambda one: one.server_cores):.2f}",
        generator,
    ]


def settings_lines(report: Report) -> str:
    """The machine, and the settings and versions of each server."""
    facts = ", ".join(f"{name} {fact}" for name, fact in {**report.machine, **report.tools}.items())
    lines = [f"Machine: {facts}. Each load lasted {report.seconds:g} s a round.", ""]
    for server in report.servers():
        settings = report.settings(server)
        used = "; ".join(f"{setting} ({', '.join(loads)})" for setting, loads in settings.items())
        versions = ", ".join(f"{name} {of}" for name, of in report.versions[server].items())
        lines.append(
            f"- {server}: {used if len(settings) > 1 else next(iter(settings))}. {versions}"
        )
    lines += [f"- {server} left out: {reason}" for server, reason in report.left_out.items()]
    return "\n".join(lines)


def _by_load(title: str, report: Report, servers: Iterable[str], cell: Cell) -> str:
    loads = [load for load in report.loads if load not in _open_loads(report)]
    rows = [[server, *(cell(server, load) for load in loads)] for server in servers]
    return table(title, ("server", *loads), rows)


def _open_loads(report: Report) -> list[str]:
    return [load for load in report.loads if load.startswith("REST open")]


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table under its title, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (text.ljust(width) for text, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([title, "", line(heads), rule, *map(line, rows)])
