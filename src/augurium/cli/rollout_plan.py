"""`augurium rollout plan`: how long an experiment takes and what it can detect."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_fields, print_json, print_table
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    from augurium.statistics.experiment_plan import Detectable, ExperimentPlan
    from augurium.statistics.sample_size import Continuous, Design, Proportion

BAR_WIDTH = 40
SHOWN_LIMITS = 8
DESIGNS = "obrien-fleming, pocock, always-valid or fixed"

Baseline = Annotated[
    float | None,
    typer.Option("--baseline", help="The control's share of units that do it, such as 0.10."),
]
Mean = Annotated[
    float | None, typer.Option("--mean", help="The control's mean, for a metric that is a number.")
]
Deviation = Annotated[
    float | None, typer.Option("--sd", help="Its standard deviation among units, with --mean.")
]
Effect = Annotated[
    float, typer.Option("--effect", help="The difference to be detected, such as 0.01 or -0.01.")
]
Relative = Annotated[
    bool, typer.Option("--relative", help="The effect is a part of the baseline or mean.")
]
PerDay = Annotated[
    float, typer.Option("--per-day", help="Units, such as users, that come to all variants a day.")
]
Split = Annotated[
    str, typer.Option("--split", help="Parts of the variants, the control first: 80/20, 50/25/25.")
]
Power = Annotated[
    float, typer.Option("--power", help="The probability to detect the effect when it is there.")
]
Alpha = Annotated[
    float, typer.Option("--alpha", help="The probability to see one when there is none, two-sided.")
]
Looks = Annotated[
    int, typer.Option("--looks", help="How often the result is looked at, the end included.")
]
DesignName = Annotated[
    str, typer.Option("--design", help=f"How looks are paid for: {DESIGNS} (one look only).")
]
Correlation = Annotated[
    float,
    typer.Option(
        "--correlation", help="Of the metric with itself before the experiment, with CUPED."
    ),
]
Days = Annotated[
    int | None, typer.Option("--days", help="Days that there are; says whether they are enough.")
]


def plan(
    effect: Effect,
    per_day: PerDay,
    baseline: Baseline = None,
    mean: Mean = None,
    sd: Deviation = None,
    relative: Relative = False,
    split: Split = "50/50",
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    looks: Looks = 7,
    design: DesignName = "obrien-fleming",
    correlation: Correlation = 0.0,
    days: Days = None,
    json: JsonFlag = False,
) -> None:
    """Plans an experiment: units, whole weeks, and the effect that each week would detect.

    It needs no server. Tell `--baseline` for a metric that a unit has or has not, or `--mean` and
    `--sd` for a number.
    """
    from augurium.statistics.experiment_plan import experiment_plan
    from augurium.statistics.sample_size import Question

    metric = _metric(baseline, mean, sd)
    question = Question(
        metric=metric,
        effect=effect * abs(metric.baseline) if relative else effect,
        shares=_shares(split),
        alpha=alpha,
        power=power,
        design=_design(design),
        looks=looks,
        correlation=correlation,
    )
    try:
        found = experiment_plan(question, per_day, days)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error
    if json:
        print_json(found)
    else:
        _show(found, per_day)


def _metric(
    baseline: float | None, mean: float | None, deviation: float | None
) -> "Proportion | Continuous":
    from augurium.statistics.sample_size import Continuous, Proportion

    if baseline is not None and mean is None and deviation is None:
        return Proportion(baseline)
    if baseline is None and mean is not None and deviation is not None:
        return Continuous(mean, deviation)
    raise typer.BadParameter("expected either --baseline, or --mean and --sd")


def _shares(split: str) -> tuple[float, ...]:
    try:
        parts = [float(part) for part in split.split("/")]
    except ValueError as error:
        raise _not_a_split(split) from error
    if len(parts) < 2 or not all(0 < part < math.inf for part in parts):
        raise _not_a_split(split)
    return tuple(part / sum(parts) for part in parts)


def _not_a_split(split: str) -> typer.BadParameter:
    return typer.BadParameter(f"'{split}' is not a split; expected one such as 80/20 or 50/25/25")


def _design(name: str) -> "Design":
    from augurium.statistics.sample_size import Design

    try:
        return Design(name)
    except ValueError as error:
        raise typer.BadParameter(f"'{name}' is not a design; expected {DESIGNS}") from error


def _show(found: "ExperimentPlan", per_day: float) -> None:
    print_fields(_fields(found, per_day))
    question = found.question
    baseline = abs(question.metric.baseline)
    sizes = [abs(entry.effect) for entry in found.detectable if entry.effect is not None]
    largest = max(sizes, default=0.0)
    print_table(
        ("week", "units", "detectable effect", "of the baseline", ""),
        [_row(entry, question.effect, baseline, largest) for entry in found.detectable],
    )


def _fields(found: "ExperimentPlan", per_day: float) -> list[tuple[str, object]]:
    question, total = found.question, sum(found.units_per_variant)
    per_variant = " + ".join(f"{units:,}" for units in found.units_per_variant)
    fields: list[tuple[str, object]] = [
        ("units", f"{total:,}: {per_variant}, the control first"),
        ("days", f"{found.days}, whole weeks; {total / per_day:,.1f} by the units alone"),
        ("looks", _looks(found)),
        ("split", f"takes {found.split_cost:.2f} times the units of an even one"),
    ]
    if question.correlation:
        left = 1 - question.correlation**2
        fields.append(("CUPED", f"leaves {100 * left:.0f} % of the units"))
    if len(question.shares) > 2:
        each = f"alpha {question.alpha_each:.3g} for each treatment against the control"
        fields.append(("treatments", f"{len(question.shares) - 1}, {each}"))
    days = found.max_days or found.days
    fields.append(("power", f"{found.power:.3f} after {days} days"))
    if found.underpowered:
        fields.append(("verdict", f"underpowered: {days} days are too few for this effect"))
    return fields


def _looks(found: "ExperimentPlan") -> str:
    limits = [f"{limit:.2f}" for limit in found.limits]
    shown = limits if len(limits) <= SHOWN_LIMITS else [*limits[:3], "...", *limits[-3:]]
    return f"|z| above {', '.join(shown)} ends it; takes {found.inflation:.3f} times one look"


def _row(entry: "Detectable", wanted: float, baseline: float, largest: float) -> tuple[object, ...]:
    if entry.effect is None:
        return (entry.week, f"{entry.units:,}", None, None, "")
    bar = "█" * max(1, round(BAR_WIDTH * abs(entry.effect) / largest))
    enough = " enough" if abs(entry.effect) <= abs(wanted) else ""
    relative = f"{100 * entry.effect / baseline:+.2f} %" if baseline else None
    return (entry.week, f"{entry.units:,}", f"{entry.effect:+.4g}", relative, bar + enough)
