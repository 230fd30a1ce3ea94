"""The verdict of an experiment: what its sums say, at a planned look or between two.

A pure function, asked as often as one likes. The loop that runs an experiment calls it with the
sums so far and with what it remembers, keeps `ExperimentVerdict.run`, and only then does what the
outcome asks for:

    verdict = experiment_verdict(design, sums, run, now)
    remember(verdict.run)  # the looks so far, whose bounds never change
    if verdict.outcome is not Outcome.RUNNING: ...

It finds out itself whether a look is due. Whatever comes between two looks is a peek: it shows
always-valid intervals, and decides by guardrails and the sample ratio only. To end an experiment
early, set `ended` in `run`: the look after that is the last, and spends what is left of alpha.
"""

import msgspec
import numpy as np

from augurium.core.experiment_design import DAY_S, ExperimentDesign
from augurium.statistics.estimates import LEAST_UNITS
from augurium.statistics.group_sequential import Spending
from augurium.statistics.sample_ratio import sample_ratio
from augurium.traffic.experiment_comparisons import (
    Measured,
    alpha_each,
    measured,
    results,
    scores,
)
from augurium.traffic.experiment_estimates import LEAST_SHOWN
from augurium.traffic.experiment_guardrails import guardrail_results
from augurium.traffic.experiment_looks import look_bounds, look_due, time_of
from augurium.traffic.experiment_outcome import Evidence, outcome
from augurium.traffic.experiment_power import LEAST_TIME, Forecast, forecast
from augurium.traffic.experiment_result import (
    ExperimentRun,
    ExperimentVerdict,
    Look,
    MetricResult,
    SampleRatioResult,
)
from augurium.traffic.experiment_sentences import with_sentences
from augurium.traffic.variant_sums import ExperimentSums, PhaseSums


def experiment_verdict(
    design: ExperimentDesign, sums: ExperimentSums, run: ExperimentRun, at: float
) -> ExperimentVerdict:
    """How the experiment stands at `at`, in seconds since 1970."""
    time = time_of(design, run, at, sums.units)
    metrics = measured(design, sums, design.metrics)
    ratio = _sample_ratio(design, sums, run.mismatch_p_value)
    looked = _looked(design, sums, metrics, run, at, time)
    remembered = msgspec.structs.replace(
        looked,
        mismatch_p_value=ratio.p_value,
        planned_units=run.planned_units or _planned_units(design, sums, time),
    )
    is_look = len(looked.looks) > len(run.looks)
    power = forecast(design, metrics, sums.units, time)
    found = _with_detectable(results(design, sums, metrics, remembered, is_look), power)
    guardrails = guardrail_results(design, sums, remembered)
    days = (at - run.started_at) / DAY_S
    evidence = Evidence(ratio, guardrails, found, days, time >= 1, power.power)
    decision, variant = outcome(design, evidence)
    verdict = ExperimentVerdict(
        outcome=decision,
        at=at,
        variant=variant,
        look=len(remembered.looks) if is_look else None,
        looks_planned=design.looks,
        units=sums.units,
        information=time if design.units is None else sums.units / design.units,
        days=days,
        over=time >= 1,
        bound=_bound(design, remembered),
        power=power.power,
        power_so_far=power.so_far,
        sample_ratio=ratio,
        metrics=found,
        guardrails=guardrails,
        mixed_units=sums.mixed_units,
        feedback=sums.feedback,
        phases=len(sums.phases),
        run=remembered,
    )
    return with_sentences(design, verdict)


def _looked(
    design: ExperimentDesign,
    sums: ExperimentSums,
    metrics: list[Measured],
    run: ExperimentRun,
    at: float,
    time: float,
) -> ExperimentRun:
    """With one look more, if one is due and there is something to see."""
    few = min(sums.units_of(label) for label in (design.control, *design.treatments))
    if design.bandit is not None or few < LEAST_UNITS or not look_due(design, run, time):
        return run
    look = Look(at, sums.units, time, scores(design, metrics))
    return msgspec.structs.replace(run, looks=(*run.looks, look))


def _planned_units(design: ExperimentDesign, sums: ExperimentSums, time: float) -> int | None:
    """What intervals that hold at any time are made narrowest for; decided by counts alone."""
    if design.units is not None:
        return design.units
    few = min(sums.units_of(label) for label in (design.control, *design.treatments))
    return round(sums.units / max(time, LEAST_TIME)) if few >= LEAST_SHOWN else None


def _bound(design: ExperimentDesign, run: ExperimentRun) -> float | None:
    """That of the last look; None before the first, and where it had nothing to spend."""
    if not run.looks:
        return None
    found = look_bounds(run.looks, alpha_each(design), Spending(design.spending))[-1]
    return found if np.isfinite(found) else None


def _sample_ratio(
    design: ExperimentDesign, sums: ExperimentSums, least: float
) -> SampleRatioResult:
    """The evidence of all phases together: independent of each other, their odds multiply."""
    odds = sum(_mismatch_odds(phase) for phase in sums.phases)
    p_value = min(least, float(np.exp(min(0.0, -odds))))
    labels = (design.control, *design.treatments)
    return SampleRatioResult(
        {label: sums.units_of(label) for label in labels},
        {
            label: sum(phase.shares.get(label, 0.0) * phase.units for phase in sums.phases)
            for label in labels
        },
        p_value,
        p_value < design.mismatch_alpha,
    )


def _mismatch_odds(phase: PhaseSums) -> float:
    """The logarithm of the odds of a mismatch; it depends on what came, not on its order."""
    shares = {label: share for label, share in phase.shares.items() if share > 0}
    if len(shares) < 2:
        return 0.0
    found = sample_ratio(tuple(shares.values())).updated(
        [phase.of(label).units for label in shares]
    )
    return found.log_mismatch - found.log_match


def _with_detectable(
    metrics: tuple[MetricResult, ...], power: Forecast
) -> tuple[MetricResult, ...]:
    return tuple(
        msgspec.structs.replace(metric, detectable=power.detectable.get(metric.name))
        for metric in metrics
    )
