"""Designs of experiments: what cannot be meant is refused, with what to do."""

from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.experiment_design import (
    Bandit,
    Covariate,
    ExperimentDesign,
    ExperimentMetric,
    MetricGuardrail,
    check_design,
)
from augurium.core.traffic_policy import Variant

HALVES = (Variant(1, 50), Variant(2, 50))
BOUGHT = ExperimentMetric("bought")


def design(**changes: Any) -> ExperimentDesign:
    whole: dict[str, Any] = {"hypothesis": "it sells", "variants": HALVES, "metrics": (BOUGHT,)}
    return ExperimentDesign(**(whole | changes))


def test_a_design_needs_a_hypothesis_two_variants_and_a_metric() -> None:
    check_design(design())

    assert design().control == "v1"
    assert design().treatments == ("v2",)
    assert design().primaries == (BOUGHT,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hypothesis": " "}, "needs a hypothesis"),
        ({"variants": (Variant(1, 100),)}, "a control and a treatment"),
        ({"variants": (Variant(1, 50), Variant(2, 40))}, "add up to 90 %"),
        ({"variants": (Variant(1, 0), Variant(2, 100))}, "'v1' has weight 0; give it some"),
        ({"unit": "cookie"}, "expected header:NAME or feature:NAME or request"),
        ({"metrics": ()}, "needs a metric that decides"),
        ({"metrics": (BOUGHT, BOUGHT)}, "metric 'bought' is there 2 times"),
        ({"metrics": (BOUGHT,), "primary": ("sold",)}, "expected one of bought"),
        ({"guardrails": (MetricGuardrail(BOUGHT, 0.01),)}, "'bought' is there 2 times"),
        ({"power": 0.04}, "expected a power above alpha"),
        ({"bandit": Bandit(floor=0.6)}, "at most 0.5"),
        (
            {"bandit": Bandit(), "metrics": (ExperimentMetric("sold", covariate=Covariate()),)},
            "nothing of the covariate of 'sold'",
        ),
        (
            {
                "bandit": Bandit(),
                "metrics": (ExperimentMetric("p50", "quantile", "latency", "lower"),),
            },
            "a bandit cannot follow 'p50'",
        ),
    ],
)
def test_a_design_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_design(design(**changes))


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (ExperimentMetric("a b"), "metric 'a b'"),
        (ExperimentMetric("fast", "binary", "latency", "lower"), "expected continuous or quantile"),
        (ExperimentMetric("worst", "quantile", "errors", "lower"), "expected binary or continuous"),
        (ExperimentMetric("fails", source="errors"), "make its direction 'lower'"),
        (ExperimentMetric("basket", "ratio"), "a ratio without denominator"),
        (ExperimentMetric("basket", denominator="orders"), "make it a ratio"),
        (
            ExperimentMetric("basket", "ratio", denominator="orders", covariate=Covariate()),
            "only binary and continuous",
        ),
        (
            ExperimentMetric("score", "continuous", "score", covariate=Covariate()),
            "needs the name of a feedback",
        ),
    ],
)
def test_a_metric_that_cannot_be_made_is_refused(metric: ExperimentMetric, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_design(design(metrics=(metric,)))


@pytest.mark.parametrize(
    ("changes", "most", "least"),
    [
        ({}, 7, 7),
        ({"days": 2}, 2, 2),
        ({"days": 21}, 21, 7),
        ({"units": 1000}, None, 7),
        ({"units": 1000, "days": 3}, 3, 3),
    ],
)
def test_nothing_ships_before_a_week_unless_it_was_to_be_shorter(
    changes: dict[str, Any], most: float | None, least: float
) -> None:
    found = design(**changes)

    assert (found.most_days, found.least_days) == (most, least)


def test_a_design_comes_back_from_json_as_it_was() -> None:
    made = design(bandit=Bandit(), metrics=(BOUGHT, ExperimentMetric("seen")), primary=("seen",))

    again = msgspec.json.decode(msgspec.json.encode(made), type=ExperimentDesign)

    assert again == made
    assert again.secondaries == (BOUGHT,)


def test_a_design_needs_no_more_than_it_says() -> None:
    found = msgspec.convert(
        {
            "hypothesis": "it sells",
            "variants": [{"version": 1, "weight": 90}, {"version": 2, "weight": 10}],
            "metrics": [{"name": "bought"}],
        },
        ExperimentDesign,
    )

    check_design(found)
    assert [guardrail.metric.name for guardrail in found.guardrails] == [
        "p99_latency",
        "error_rate",
    ]
