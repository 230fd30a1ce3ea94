"""A writer of the Prometheus text format 0.0.4.

Source: Prometheus documentation, "Exposition formats", "Text-based format".
"""

from itertools import accumulate

from augurium.serving.metrics import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_escapes = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels(**values: str | int) -> str:
    """Label pairs as they stand between the braces; values are escaped."""
    return ",".join(f'{name}="{str(value).translate(_escapes)}"' for name, value in values.items())


class Exposition:
    """Collects families and their samples; a family comes before its samples."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._name = ""

    def family(self, name: str, kind: str, description: str) -> None:
        """Begins a family: `counter`, `gauge`, `histogram` or `summary`; `description` is one plain
        line.
        """
        self._name = name
        self._lines += (f"# HELP {name} {description}", f"# TYPE {name} {kind}")

    def sample(self, pairs: str, value: float) -> None:
        """One sample of the family; `pairs` comes from `labels`, empty for none."""
        self._add(self._name, pairs, value)

    def histogram(self, pairs: str, histogram: Histogram, scale: float = 1.0) -> None:
        """One histogram of the family, its bounds and sum multiplied by `scale`."""
        bounds = [f"{round(bound * scale, 6):.15g}" for bound in histogram.bounds]
        for bound, count in zip([*bounds, "+Inf"], accumulate(histogram.counts), strict=True):
            self._add(f"{self._name}_bucket", f'{pairs},le="{bound}"'.lstrip(","), count)
        self._add(f"{self._name}_sum", pairs, histogram.total * scale)
        self._add(f"{self._name}_count", pairs, histogram.count)

    def summary(self, pairs: str, count: int, total: float) -> None:
        """One summary of the family without quantiles: how many values, and their sum."""
        self._add(f"{self._name}_sum", pairs, total)
        self._add(f"{self._name}_count", pairs, count)

    def text(self) -> bytes:
        """Everything so far."""
        return ("\n".join(self._lines) + "\n").encode()

    def _add(self, name: str, pairs: str, value: float) -> None:
        self._lines.append(f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}")
