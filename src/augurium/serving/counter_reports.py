"""What control has to be told of an engine's counters: versions of which nothing was counted since
the last report need not be told again.

A report has the whole counters of a version, never differences: what comes twice does no harm, and
what did not come is in the next. On a new connection everything is told, because nobody knows what
arrived on the one before, or whether this is the control that heard it.
"""

import msgspec

from augurium.serving.metrics import EngineMetrics


class CounterReports:
    """The reports on one connection, all of which arrive as long as it lasts."""

    def __init__(self) -> None:
        # how often something was counted when it was told last
        self._told: dict[tuple[str, int], int] = {}

    def of(self, metrics: EngineMetrics) -> EngineMetrics:
        """What has changed, with all that is not a version's; it counts as told."""
        told = self._told
        versions = []
        for version in metrics.versions:
            key = (version.model, version.version)
            if told.get(key) != version.changes:
                told[key] = version.changes
                versions.append(version)
        return msgspec.structs.replace(metrics, versions=versions)


def updated(known: EngineMetrics, report: EngineMetrics) -> EngineMetrics:
    """What is known after a report."""
    versions = {(version.model, version.version): version for version in known.versions}
    versions.update(((version.model, version.version), version) for version in report.versions)
    return msgspec.structs.replace(report, versions=list(versions.values()))
