"""What a canary's plan may say."""

from typing import Any

import msgspec
import pytest

from augurium.core.canary_plan import CanaryPlan, QualityMetric, check_plan
from augurium.core.errors import InvalidArgument


def test_a_plan_needs_no_more_than_the_candidate() -> None:
    plan = msgspec.json.decode(b'{"version": 4}', type=CanaryPlan)

    check_plan(plan)

    assert plan.steps == (5, 25, 50, 100)
    assert plan.share_of_alpha == 0.005


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": (5, 25, 25)}, "do not grow"),
        ({"steps": (50, 5)}, "do not grow"),
        ({"steps": (100,)}, "nothing to compare with"),
        ({"steps": (0.001, 100)}, "finer than 0.01 %"),
        ({"deadline_s": 1199}, "allow 1200 s at least"),
        ({"quality": QualityMetric("not a name", 0.1)}, "quality metric"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check_plan(CanaryPlan(4, **fields))


def test_a_plan_without_a_deadline_may_take_for_ever() -> None:
    check_plan(CanaryPlan(4, steps=(0.01, 0.3, 12.34), deadline_s=0))


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 4, "steps": []}',
        '{"version": 4, "steps": [5, 101]}',
        '{"version": 4, "at_deadline": "explode"}',
        '{"version": 4, "alpha": 0}',
        '{"version": 4, "tick_s": 0.1}',
        '{"version": 4, "stepps": [5]}',
    ],
)
def test_values_out_of_range_and_unknown_fields_are_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=CanaryPlan)
