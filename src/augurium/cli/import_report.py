"""The import report of a version, for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from augurium.cli.output import size

ENGINE_COLUMNS = (
    "engine",
    "max error",
    "labels differ",
    "1 row, ms",
    "64 rows, ms",
    "1024 rows, ms",
    "loads in, ms",
    "memory",
    "outcome",
)
BATCHES = ("1", "64", "1024")
# shown as a table of their own
NOT_FIELDS = frozenset({"engines", "chosen", "chosen_because"})


def parity_error(report: Mapping[str, Any]) -> float | None:
    """The largest difference between the imported model and the original; None if not measured."""
    parity = report.get("parity", report)
    found = parity.get("max_abs_error") if isinstance(parity, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def engine_rows(report: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """A row of `ENGINE_COLUMNS` for every engine that was tried; the chosen one has a star."""
    engines = report.get("engines", {})
    for name, found in engines.items() if isinstance(engines, Mapping) else ():
        parity, latency = found.get("parity", {}), found.get("latency_ms", {})
        memory = found.get("memory_bytes")
        yield (
            f"{name} *" if name == report.get("chosen") else name,
            parity.get("max_abs_error"),
            parity.get("label_differences"),
            *(latency.get(batch) for batch in BATCHES),
            found.get("load_ms"),
            None if memory is None else size(memory),
            found.get("outcome"),
        )


def report_fields(report: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, object]]:
    """The report as lines of name and value, nested parts indented."""
    for key, value in report.items():
        if key in NOT_FIELDS and not indent.strip():
            continue
        name = indent + str(key).replace("_", " ")
        if isinstance(value, Mapping) and value:
            yield name, ""
            yield from report_fields(value, indent + "  ")
        else:
            yield name, value
