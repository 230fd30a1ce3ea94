"""Treatments held against the control, metric by metric.

All primary comparisons, of metrics and treatments, are corrected together by Holm; each has the
p-value of its planned looks, so that alpha holds for all looks and all of them (Maurer and Bretz
2013: Multiple testing in group sequential trials using graphical approaches). Secondary ones are
corrected by Benjamini and Hochberg. An always-valid interval is for looking at any time, and
decides nothing here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.statistics.confidence_sequences import interval, p_value
from augurium.statistics.estimates import Effect, Estimate, difference, relative_lift
from augurium.statistics.group_sequential import Spending
from augurium.statistics.multiplicity import benjamini_hochberg, holm
from augurium.traffic.experiment_estimates import (
    LEAST_SHOWN,
    MetricEstimates,
    events,
    metric_estimates,
)
from augurium.traffic.experiment_looks import (
    look_bounds,
    look_p_value,
    pair_units,
    score,
    student_bound,
)
from augurium.traffic.experiment_result import (
    Comparison,
    ExperimentRun,
    Interval,
    MetricResult,
    VariantEstimate,
)
from augurium.traffic.variant_sums import ExperimentSums


class Measured(NamedTuple):
    """A metric with its estimates, None where too little came."""

    metric: ExperimentMetric
    found: MetricEstimates | None

    def effect(self, control: str, treatment: str) -> Effect | None:
        """How much larger the treatment's is."""
        if self.found is None:
            return None
        return difference(self.found.by_variant[control], self.found.by_variant[treatment])

    def lift(self, control: str, treatment: str) -> Effect | None:
        """The same as a share of the control's; None where that is zero."""
        if self.found is None:
            return None
        return lift(self.found.by_variant[control], self.found.by_variant[treatment])


def measured(
    design: ExperimentDesign, sums: ExperimentSums, metrics: Sequence[ExperimentMetric]
) -> list[Measured]:
    """The metrics with their estimates in all variants."""
    labels = (design.control, *design.treatments)
    return [Measured(metric, metric_estimates(metric, sums, labels)) for metric in metrics]


def lift(control: Estimate, treatment: Estimate) -> Effect | None:
    """How much larger the treatment's is, as a share of the control's; None where that is zero."""
    try:
        return relative_lift(control, treatment)
    except InvalidArgument:
        return None


def scores(design: ExperimentDesign, metrics: Sequence[Measured]) -> dict[str, float]:
    """What a look notes: by `metric/variant`, above zero where the treatment is better."""
    found = {}
    for one in metrics:
        for treatment in design.treatments:
            effect = one.effect(design.control, treatment)
            if effect is not None:
                found[key(one.metric, treatment)] = _sign(one.metric) * score(effect)
    return found


def results(
    design: ExperimentDesign,
    sums: ExperimentSums,
    metrics: Sequence[Measured],
    run: ExperimentRun,
    is_look: bool,
) -> tuple[MetricResult, ...]:
    """Every metric of the design; `run` has the looks so far, this one included if it is one.

    Nothing is compared for a bandit: no p-value or interval would hold.
    """
    primaries = design.primaries
    compared = () if design.bandit is not None else design.treatments
    comparing = _Comparing(design, sums, run, is_look)
    tables = [[comparing.one(one, treatment) for treatment in compared] for one in metrics]
    is_primary = [one.metric in primaries for one in metrics]
    _correct(tables, is_primary, design.alpha)
    return tuple(
        MetricResult(
            name=one.metric.name,
            role="primary" if primary else "secondary",
            variants=_variants(design, sums, one),
            comparisons=tuple(decided.comparison for decided in table if decided is not None),
            variance_ratio=None if one.found is None else one.found.variance_ratio,
        )
        for one, table, primary in zip(metrics, tables, is_primary, strict=True)
    )


def alpha_each(design: ExperimentDesign) -> float:
    """What one of the primary comparisons may err where none of the others finds anything."""
    return design.alpha / (len(design.primaries) * len(design.treatments))


def key(metric: ExperimentMetric, treatment: str) -> str:
    """What a comparison is called in a look."""
    return f"{metric.name}/{treatment}"


class _Sided(NamedTuple):
    """A comparison, and the p-values of being better and of being worse."""

    comparison: Comparison
    better: float
    worse: float


class _Comparing:
    def __init__(
        self, design: ExperimentDesign, sums: ExperimentSums, run: ExperimentRun, is_look: bool
    ) -> None:
        self._design = design
        self._sums = sums
        self._run = run
        self._is_look = is_look
        self._spending = Spending(design.spending)

    def one(self, one: Measured, treatment: str) -> "_Sided | None":
        effect = one.effect(self._design.control, treatment)
        if effect is None:
            return None
        lifted = one.lift(self._design.control, treatment)
        planned = self._planned(one.metric, treatment)
        better, worse = (
            look_p_value(self._run.looks, key(one.metric, treatment), sign, self._spending)
            for sign in (1, -1)
        )
        comparison = Comparison(
            variant=treatment,
            effect=effect.value,
            se=effect.se,
            interval=self._repeated(one.metric, effect),
            always_interval=_always(effect, planned, self._design.alpha),
            lift=None if lifted is None else lifted.value,
            lift_interval=None if lifted is None else self._repeated(one.metric, lifted),
            lift_always_interval=None
            if lifted is None
            else _always(lifted, planned, self._design.alpha),
            p_value=min(better, worse),
            always_p_value=None
            if planned is None
            else float(p_value(effect.z, effect.n, planned, self._design.alpha)),
        )
        # an effect that has turned since it was found is none
        now = _sign(one.metric) * effect.value
        return _Sided(comparison, better if now > 0 else 1.0, worse if now < 0 else 1.0)

    def _planned(self, metric: ExperimentMetric, treatment: str) -> float | None:
        """The units of both; None while too little came for an interval to be believed."""
        labels = (self._design.control, treatment)
        few = min(events(metric, self._sums, label) for label in labels)
        return pair_units(self._design, self._run, treatment) if few >= LEAST_SHOWN else None

    def _repeated(self, metric: ExperimentMetric, effect: Effect) -> Interval | None:
        if not self._is_look:
            return None
        primary = metric in self._design.primaries
        alpha = alpha_each(self._design) if primary else self._design.alpha
        bound = look_bounds(self._run.looks, alpha, self._spending)[-1]
        if bound == float("inf"):
            return None
        return effect.within(student_bound(bound, effect.df))


def _correct(tables: list[list[_Sided | None]], is_primary: Sequence[bool], alpha: float) -> None:
    """Puts in the corrected p-values, and what they find, of the primary and of the others."""
    for role, correction in ((True, holm), (False, benjamini_hochberg)):
        places = [
            (row, column)
            for row, table in enumerate(tables)
            for column, one in enumerate(table)
            if one is not None and is_primary[row] is role
        ]
        sided = [one for row, column in places if (one := tables[row][column]) is not None]
        corrected = correction([min(one.better, one.worse) for one in sided])
        for (row, column), one, p in zip(places, sided, corrected, strict=True):
            tables[row][column] = one._replace(comparison=_decided(one, float(p), alpha))


def _decided(one: _Sided, adjusted: float, alpha: float) -> Comparison:
    found = "none"
    if adjusted <= alpha:
        found = "better" if one.better < one.worse else "worse"
    return msgspec.structs.replace(one.comparison, adjusted_p_value=adjusted, finding=found)


def _always(effect: Effect, planned: float | None, alpha: float) -> Interval | None:
    return None if planned is None else interval(effect, planned, alpha)


def _variants(
    design: ExperimentDesign, sums: ExperimentSums, one: Measured
) -> tuple[VariantEstimate, ...]:
    found = []
    for label in (design.control, *design.treatments):
        estimate = None if one.found is None else one.found.by_variant[label]
        found.append(
            VariantEstimate(
                label,
                sums.units_of(label),
                None if estimate is None else estimate.value,
                None if estimate is None else estimate.variance**0.5,
            )
        )
    return tuple(found)


def _sign(metric: ExperimentMetric) -> int:
    return 1 if metric.direction == "higher" else -1
