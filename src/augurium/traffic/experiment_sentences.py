"""A verdict in words: what it means, what to be careful about, and what to do next."""

from collections.abc import Callable, Iterator

import msgspec

from augurium.core.experiment_design import DAY_S, WEEK_DAYS, ExperimentDesign
from augurium.statistics.guardrails import GuardrailState
from augurium.traffic.experiment_outcome import breached_by, comparison_of, winner_of
from augurium.traffic.experiment_result import (
    Comparison,
    ExperimentVerdict,
    GuardrailResult,
    Interval,
    MetricResult,
    Outcome,
)

MANY_MIXED = 0.01


def with_sentences(design: ExperimentDesign, verdict: ExperimentVerdict) -> ExperimentVerdict:
    """The verdict with its sentences."""
    found = (
        *_MEANINGS[verdict.outcome](design, verdict),
        *_primaries(design, verdict),
        *_guardrails(verdict),
        *_cautions(design, verdict),
        _next_step(design, verdict),
    )
    return msgspec.structs.replace(verdict, sentences=found)


def _running(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    if design.bandit is not None:
        yield (
            f"A bandit moves traffic to what earned most after {verdict.units} units; it proves "
            "nothing, and its means are biased."
        )
        return
    yield (
        f"{verdict.units} units after {_time(verdict.days)}, {_percent(verdict.information)} of "
        f"the plan; {len(verdict.run.looks)} of {verdict.looks_planned} looks were taken."
    )
    winner = winner_of(design, verdict.metrics, breached_by(verdict.guardrails))
    if winner is not None:
        yield (
            f"{winner} is better already; nothing ships before {_time(design.least_days)} are "
            "over, because people behave otherwise on other days of the week."
        )


def _ship(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    yield f"{verdict.variant} is better than {design.control}."


def _no_difference(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    yield f"No treatment differs from {design.control} in a primary metric."
    for metric in verdict.metrics:
        if metric.role == "primary" and metric.detectable is not None:
            yield (
                f"An effect of {_percent(metric.detectable)} on {metric.name} would have been "
                f"found with a probability of {_percent(design.power)}; a smaller one may be there."
            )


def _harm(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    names = " and ".join(design.treatments)
    yield f"{names} {'is' if len(design.treatments) == 1 else 'are'} worse than {design.control}."


def _invalid(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    ratio = verdict.sample_ratio
    counts = ", ".join(
        f"{label} {units} instead of {ratio.expected[label]:.0f}"
        for label, units in ratio.units.items()
    )
    yield (
        f"Units do not come to the variants as the weights say (p {_p(ratio.p_value)}): {counts}. "
        "Assignment or counting is broken, and none of these numbers can be believed."
    )


def _underpowered(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    yield "It ended without an answer: too few units came."
    first = next(one for one in design.primaries)
    if verdict.power is not None and first.effect is not None:
        yield (
            f"An effect of {_percent(first.effect)} on {first.name} would have been found with a "
            f"probability of {_percent(verdict.power)} only; {_percent(design.power)} was wanted."
        )


def _stopped(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    yield "A guardrail was breached."


_MEANINGS: dict[Outcome, Callable[[ExperimentDesign, ExperimentVerdict], Iterator[str]]] = {
    Outcome.RUNNING: _running,
    Outcome.SHIP: _ship,
    Outcome.NO_DIFFERENCE: _no_difference,
    Outcome.HARM: _harm,
    Outcome.INVALID: _invalid,
    Outcome.UNDERPOWERED: _underpowered,
    Outcome.STOPPED: _stopped,
}


def _primaries(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    if verdict.outcome is Outcome.INVALID:
        return
    for metric in verdict.metrics:
        for treatment in design.treatments:
            found = comparison_of(verdict.metrics, metric.name, treatment)
            if metric.role == "primary" and found is not None:
                yield _comparison(design, verdict, metric, found)


def _comparison(
    design: ExperimentDesign, verdict: ExperimentVerdict, metric: MetricResult, found: Comparison
) -> str:
    value, limits, always = found.lift, found.lift_interval, found.lift_always_interval
    text: Callable[[float], str] = _signed_percent
    if value is None:
        value, limits, always = found.effect, found.interval, found.always_interval
        text = _signed
    interval = _interval(limits, "at this look", text) or _interval(always, "at any time", text)
    return (
        f"{metric.name} of {found.variant}: {text(value)} of {design.control}'s{interval}, "
        f"corrected p {_p(found.adjusted_p_value)}."
    )


def _guardrails(verdict: ExperimentVerdict) -> Iterator[str]:
    for one in verdict.guardrails:
        if one.state is GuardrailState.BREACHED:
            yield (
                f"{one.variant} breaks the guardrail {one.name}: it is worse by at least "
                f"{_harm_text(one, one.least_harm)}; {_harm_text(one, one.margin)} was allowed."
            )
    names = sorted({one.name for one in verdict.guardrails if one.state is GuardrailState.OPEN})
    if verdict.outcome is Outcome.SHIP and names:
        yield f"Not proven to be within their margins, nor beyond them: {', '.join(names)}."


def _cautions(design: ExperimentDesign, verdict: ExperimentVerdict) -> Iterator[str]:
    if design.least_days < WEEK_DAYS and verdict.outcome is Outcome.SHIP:
        yield (
            f"It was planned for {_time(design.least_days)}, less than a week: what differs by the "
            "day of the week was not seen."
        )
    if verdict.mixed_units > MANY_MIXED * max(1, verdict.units):
        yield (
            f"{verdict.mixed_units} units met two variants and were left out; find out why "
            f"'{design.unit}' does not keep a unit in its variant."
        )
    if verdict.feedback.unjoined > MANY_MIXED * max(1, verdict.feedback.joined):
        yield (
            f"{verdict.feedback.unjoined} rows of feedback belong to no prediction or unit of the "
            "experiment."
        )
    if verdict.phases > 1:
        yield (
            f"Weights were changed: {verdict.phases} phases are estimated by themselves and "
            "weighted by their units."
        )
    is_weak = verdict.power is not None and verdict.power < design.power
    if verdict.outcome is Outcome.RUNNING and is_weak:
        yield (
            "As it goes, the effect worth finding will be found with a probability of "
            f"{_percent(verdict.power or 0.0)}; {_percent(design.power)} was wanted."
        )


def _next_step(design: ExperimentDesign, verdict: ExperimentVerdict) -> str:
    first = design.primaries[0]
    steps = {
        Outcome.RUNNING: "Wait for the next look; a peek decides nothing.",
        Outcome.SHIP: f"Ship {verdict.variant}.",
        Outcome.NO_DIFFERENCE: f"Keep {design.control}, or decide by cost.",
        Outcome.HARM: f"Keep {design.control}.",
        Outcome.INVALID: f"Keep {design.control}, mend the assignment, and start with a new salt.",
        Outcome.UNDERPOWERED: (
            f"Keep {design.control}. Run it longer, with more traffic, or with a covariate for "
            f"{first.name}; `augurium rollout plan` says how long."
        ),
        Outcome.STOPPED: f"Keep {design.control} and look into the guardrail.",
    }
    if verdict.outcome is Outcome.RUNNING and design.bandit is not None:
        return "Compare variants with a fixed split when you want to know which one is better."
    return steps[verdict.outcome]


def _harm_text(one: GuardrailResult, value: float | None) -> str:
    return _percent(value or 0.0) if one.relative else f"{value or 0.0:.4g}"


def _interval(found: Interval | None, when: str, text: Callable[[float], str]) -> str:
    return "" if found is None else f" ({text(found[0])} to {text(found[1])} {when})"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _signed_percent(share: float) -> str:
    return f"{share * 100:+.3g} %"


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "< 0.001"


def _time(days: float) -> str:
    """In the largest unit of which there are two."""
    size, unit = next(found for found in _UNITS if days * DAY_S >= 2 * found[0] or found[0] == 1.0)
    return f"{days * DAY_S / size:.3g} {unit}"


_UNITS = ((DAY_S, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
