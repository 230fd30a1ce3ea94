"""The import report of a version, for people."""

from collections.abc import Iterator, Mapping
from typing import Any


def parity_error(report: Mapping[str, Any]) -> float | None:
    """The largest difference between the imported model and the original; None if not measured."""
    parity = report.get("parity", report)
    found = parity.get("max_abs_error") if isinstance(parity, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def report_fields(report: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, object]]:
    """The report as lines of name and value, nested parts indented."""
    for key, value in report.items():
        name = indent + str(key).replace("_", " ")
        if isinstance(value, Mapping) and value:
            yield name, ""
            yield from report_fields(value, indent + "  ")
        else:
            yield name, value
