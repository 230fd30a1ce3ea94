"""The guardrails of an experiment: may it go on?

Their limits hold at any time, so they are asked at every verdict. Of a metric that counts errors
there have to be a hundred in both variants together before they say anything.
"""

from augurium.core.experiment_design import ExperimentDesign, MetricGuardrail
from augurium.statistics.estimates import Effect
from augurium.statistics.guardrails import guardrail
from augurium.traffic.experiment_comparisons import Measured, measured
from augurium.traffic.experiment_estimates import LEAST_SHOWN, events
from augurium.traffic.experiment_looks import pair_units
from augurium.traffic.experiment_result import ExperimentRun, GuardrailResult
from augurium.traffic.variant_sums import ExperimentSums


def guardrail_results(
    design: ExperimentDesign, sums: ExperimentSums, run: ExperimentRun
) -> tuple[GuardrailResult, ...]:
    """Every guardrail for every treatment."""
    metrics = measured(design, sums, [guard.metric for guard in design.guardrails])
    return tuple(
        _result(design, guard, one, sums, run, treatment)
        for guard, one in zip(design.guardrails, metrics, strict=True)
        for treatment in design.treatments
    )


def _result(
    design: ExperimentDesign,
    guard: MetricGuardrail,
    one: Measured,
    sums: ExperimentSums,
    run: ExperimentRun,
    treatment: str,
) -> GuardrailResult:
    effect = (one.lift if guard.relative else one.effect)(design.control, treatment)
    unknown = GuardrailResult(
        name=guard.metric.name, variant=treatment, margin=guard.margin, relative=guard.relative
    )
    planned = pair_units(design, run, treatment)
    if effect is None or planned is None or not _enough(design, guard, sums, treatment):
        return unknown
    return _judged(guard, effect, planned, unknown)


def _judged(
    guard: MetricGuardrail, effect: Effect, planned: float, unknown: GuardrailResult
) -> GuardrailResult:
    higher_is_worse = guard.metric.direction == "lower"
    found = guardrail(effect, guard.margin, planned, higher_is_worse)
    return GuardrailResult(
        name=unknown.name,
        variant=unknown.variant,
        margin=guard.margin,
        relative=guard.relative,
        state=found.state,
        harm=effect.value if higher_is_worse else -effect.value,
        least_harm=found.least_harm,
        most_harm=found.most_harm,
    )


def _enough(
    design: ExperimentDesign, guard: MetricGuardrail, sums: ExperimentSums, treatment: str
) -> bool:
    labels = (design.control, treatment)
    found = [events(guard.metric, sums, label) for label in labels]
    if min(sums.units_of(label) for label in labels) < LEAST_SHOWN:
        return False
    return (sum(found) if guard.metric.kind == "binary" else min(found)) >= LEAST_SHOWN
