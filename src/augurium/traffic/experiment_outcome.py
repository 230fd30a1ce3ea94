"""How an experiment ends, or that it goes on: the rules, in their order."""

from collections.abc import Sequence
from typing import NamedTuple

from augurium.core.experiment_design import ExperimentDesign
from augurium.statistics.guardrails import GuardrailState
from augurium.traffic.experiment_result import (
    Comparison,
    GuardrailResult,
    MetricResult,
    Outcome,
    SampleRatioResult,
)

POWER_SLACK = 0.02  # a plan for 80 % is not underpowered at 79 %: the variance is an estimate, too
ROUNDING = 1e-9


class Evidence(NamedTuple):
    """What the rules go by; `over` says that the plan is, `power` is that at its end."""

    sample_ratio: SampleRatioResult
    guardrails: Sequence[GuardrailResult]
    metrics: Sequence[MetricResult]
    days: float
    over: bool
    power: float | None


def outcome(design: ExperimentDesign, evidence: Evidence) -> tuple[Outcome, str | None]:
    """The outcome, and the variant to ship if it is that."""
    if evidence.sample_ratio.mismatch:
        return Outcome.INVALID, None
    breached = breached_by(evidence.guardrails)
    if breached and design.on_breach == "stop":
        return Outcome.STOPPED, None
    if design.bandit is not None:
        return Outcome.RUNNING, None
    worse = {one for one in design.treatments if "worse" in findings(evidence.metrics, one)}
    if worse == set(design.treatments):
        return Outcome.HARM, None
    winner = winner_of(design, evidence.metrics, worse | breached)
    if winner is not None and evidence.days >= design.least_days - ROUNDING:
        return Outcome.SHIP, winner
    if not evidence.over:
        return Outcome.RUNNING, None
    if winner is None and breached:
        return Outcome.STOPPED, None
    return _without_winner(design, evidence), None


def winner_of(
    design: ExperimentDesign, metrics: Sequence[MetricResult], barred: set[str]
) -> str | None:
    """The treatment that is better and not barred; of several the one with the largest effect on
    the first primary metric, in its standard errors.
    """
    better = [
        one for one in design.treatments if one not in barred and "better" in findings(metrics, one)
    ]
    first = design.primaries[0]
    sign = 1 if first.direction == "higher" else -1
    return max(better, key=lambda one: sign * _z(metrics, first.name, one), default=None)


def findings(metrics: Sequence[MetricResult], treatment: str) -> set[str]:
    """What primary metrics say of a treatment."""
    return {
        comparison.finding
        for metric in metrics
        if metric.role == "primary"
        for comparison in metric.comparisons
        if comparison.variant == treatment
    }


def breached_by(guardrails: Sequence[GuardrailResult]) -> set[str]:
    """The treatments that do more harm than a guardrail allows."""
    return {one.variant for one in guardrails if one.state is GuardrailState.BREACHED}


def comparison_of(metrics: Sequence[MetricResult], name: str, treatment: str) -> Comparison | None:
    """What a treatment changes of a metric; None where too little is known."""
    found = (
        comparison
        for metric in metrics
        if metric.name == name
        for comparison in metric.comparisons
        if comparison.variant == treatment
    )
    return next(found, None)


def _without_winner(design: ExperimentDesign, evidence: Evidence) -> Outcome:
    name = design.primaries[0].name
    unknown = any(comparison_of(evidence.metrics, name, one) is None for one in design.treatments)
    short = evidence.power is not None and evidence.power < design.power - POWER_SLACK
    return Outcome.UNDERPOWERED if unknown or short else Outcome.NO_DIFFERENCE


def _z(metrics: Sequence[MetricResult], name: str, treatment: str) -> float:
    found = comparison_of(metrics, name, treatment)
    return found.effect / found.se if found is not None and found.se > 0 else 0.0
