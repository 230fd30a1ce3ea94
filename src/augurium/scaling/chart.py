"""Pictures of a simulation: lines of text for a terminal, or SVG."""

from collections.abc import Callable, Sequence

from augurium.core.sparkline import sparkline, thinned
from augurium.scaling.simulation import Tick

COLUMNS = 72
WIDTH, HEIGHT, MARGIN = 960, 140, 40
ROWS: tuple[tuple[str, str, Callable[[Tick], float]], ...] = (
    ("requests/s", "#2563eb", lambda tick: tick.rate),
    ("replicas", "#16a34a", lambda tick: tick.wanted),
    ("utilization", "#9333ea", lambda tick: tick.utilization),
    ("queue delay, ms", "#dc2626", lambda tick: 1000 * tick.delay_s),
)


def text_chart(ticks: Sequence[Tick]) -> str:
    """One line per measure: its name, the largest of each column's time, and its peak."""
    lines = []
    for name, _, measure in ROWS:
        values = [measure(tick) for tick in ticks]
        lines.append(f"{name:>15} {sparkline(values, COLUMNS)} {max(values):.4g}")
    return "\n".join(lines)


def svg_chart(ticks: Sequence[Tick]) -> str:
    """A picture with a panel per measure over one axis of time."""
    panel = HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * MARGIN}"'
        f' height="{panel * len(ROWS) + MARGIN}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for row, (name, colour, measure) in enumerate(ROWS):
        values = thinned([measure(tick) for tick in ticks], WIDTH)
        peak, top = max(values), row * panel + MARGIN
        points = " ".join(
            f"{MARGIN + column * WIDTH / max(1, len(values) - 1):.1f},"
            f"{top + HEIGHT * (1 - (value / peak if peak else 0)):.1f}"
            for column, value in enumerate(values)
        )
        parts += [
            f'<text x="{MARGIN}" y="{top - 8}">{name}, at most {peak:.4g}</text>',
            f'<path d="M{MARGIN} {top + HEIGHT}h{WIDTH}" stroke="#999"/>',
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
        ]
    end = f"{ticks[-1].t:g} s"
    parts.append(f'<text x="{WIDTH}" y="{panel * len(ROWS) + MARGIN / 2}">{end}</text></svg>')
    return "\n".join(parts) + "\n"
