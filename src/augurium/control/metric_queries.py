"""What a metric of an experiment is in SQL: a unit's value, and the weight it is divided by."""

from collections.abc import Sequence
from typing import NamedTuple

from augurium.core.experiment_design import DAY_S, REQUESTS, ExperimentMetric
from augurium.traffic.variant_sums import VALUE_BINS


class UnitTerms(NamedTuple):
    """Expressions over the columns of a unit: value, weight, and what was known before."""

    value: str
    weight: str
    before: str | None = None


class Columns:
    """The columns that the metrics of a design need of every unit, by their place.

    Names of feedback become numbers, so that nothing of a caller's stands in a statement.
    """

    def __init__(self, metrics: Sequence[ExperimentMetric]) -> None:
        self.metrics = tuple(metrics)
        names = {metric.feedback_name for metric in metrics}
        names |= {m.denominator for m in metrics if m.denominator not in ("", REQUESTS)}
        names |= {_covered(metric) for metric in metrics}
        self.feedback = tuple(sorted(names - {""}))
        self.score_days = tuple(
            sorted({m.covariate.days for m in metrics if m.covariate and not _covered(m)})
        )
        self.feedback_days = tuple(
            sorted(
                {(_covered(m), m.covariate.days) for m in metrics if m.covariate and _covered(m)}
            )
        )

    @property
    def most_days(self) -> float:
        """How long before the start something is looked at."""
        return max((*self.score_days, *(days for _, days in self.feedback_days)), default=0.0)

    @property
    def histograms(self) -> tuple[ExperimentMetric, ...]:
        """The metrics that are quantiles."""
        return tuple(metric for metric in self.metrics if metric.kind == "quantile")

    @property
    def means(self) -> tuple[ExperimentMetric, ...]:
        """All others."""
        return tuple(metric for metric in self.metrics if metric.kind != "quantile")

    def place(self, name: str) -> int:
        """The number of a feedback's name."""
        return self.feedback.index(name)

    def of_feedback(self, start: float) -> list[str]:
        """Aggregates over a unit's rows of feedback; `counts` says which are in the window."""
        found = []
        for place in range(len(self.feedback)):
            rows = f"FILTER (name = {place} AND counts)"
            found.append(f'sum("value") {rows} AS total_{place}')
            found.append(f'count_if("value" > 0) {rows} AS had_{place}')
        for place, (name, days) in enumerate(self.feedback_days):
            rows = f"name = {self.place(name)} AND {_before(start, days)}"
            found.append(f'sum("value") FILTER ({rows}) AS known_{place}')
        return found

    def of_scores(self, start: float) -> list[str]:
        """Aggregates over the predictions of a unit before the start."""
        return [
            f"avg(score) FILTER ({_before(start, days)}) AS scored_{place}"
            for place, days in enumerate(self.score_days)
        ]

    def terms(self, metric: ExperimentMetric) -> UnitTerms:
        """What a metric is made of."""
        before = self._before(metric)
        if metric.kind == "ratio":
            weight = (
                "requests" if metric.denominator == REQUESTS else self._total(metric.denominator)
            )
            return UnitTerms(self._total(metric.feedback_name), weight)
        if metric.source == "feedback":
            return self._of_feedback(metric, before)
        if metric.source == "errors":
            once = "(errors > 0)::INT" if metric.kind == "binary" else "errors"
            return _per(metric, once, "errors", "requests", before)
        column, count = (
            ("seconds", "requests") if metric.source == "latency" else ("score", "scored")
        )
        value = f"CASE WHEN {count} > 0 THEN {column} / {count} ELSE 0 END"
        if metric.per == "request":
            return UnitTerms(f"coalesce({column}, 0)", count)
        return UnitTerms(value, f"({count} > 0)::INT", before)

    def _of_feedback(self, metric: ExperimentMetric, before: str | None) -> UnitTerms:
        total = self._total(metric.feedback_name)
        if metric.kind == "continuous":
            return _per(metric, total, total, "requests", before)
        had = f"coalesce(had_{self.place(metric.feedback_name)}, 0)"
        return _per(metric, f"({had} > 0)::INT", had, "requests", before)

    def _total(self, name: str) -> str:
        return f"coalesce(total_{self.place(name)}, 0)"

    def _before(self, metric: ExperimentMetric) -> str | None:
        if metric.covariate is None:
            return None
        if not _covered(metric):
            return f"coalesce(scored_{self.score_days.index(metric.covariate.days)}, 0)"
        place = self.feedback_days.index((_covered(metric), metric.covariate.days))
        return f"coalesce(known_{place}, 0)"


def bin_of(column: str) -> str:
    """The bin of `VALUE_BINS` of a column of positive values."""
    bins = VALUE_BINS
    place = f"ln(greatest({column}, {bins.low!r}) / {bins.low!r}) / ln({bins.growth!r})"
    return f"least(floor({place})::BIGINT, {bins.count - 1})"


def _per(
    metric: ExperimentMetric, of_unit: str, of_requests: str, requests: str, before: str | None
) -> UnitTerms:
    if metric.per == "request":
        return UnitTerms(of_requests, requests)
    return UnitTerms(of_unit, "1", before)


def _covered(metric: ExperimentMetric) -> str:
    """The feedback that its covariate is made of; empty without one and for a score."""
    covariate = metric.covariate
    if covariate is None or covariate.source == "score":
        return ""
    return covariate.feedback or metric.feedback_name


def _before(start: float, days: float) -> str:
    return f'"at" >= {start - days * DAY_S!r} AND "at" < {start!r}'
