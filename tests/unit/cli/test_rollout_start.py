"""Options of a canary's quality, and how they go with a plan."""

from typing import Any

import pytest
import typer

from augurium.cli.rollout_start import quality_options, with_quality

PLAN = {"version": 2, "quality": {"name": "bought", "margin": 0.02, "planned": 500}}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("converted", 0.01, False), {"name": "converted", "margin": 0.01}),
        (("refunds", 0.5, True), {"name": "refunds", "margin": 0.5, "higher_is_better": False}),
    ],
)
def test_quality_is_a_metric_and_its_margin(options: Any, found: dict[str, Any]) -> None:
    assert with_quality({"version": 2}, quality_options(*options))["quality"] == found


def test_options_overrule_the_plan_one_by_one() -> None:
    changed = with_quality(PLAN, quality_options(None, 0.5, False))

    assert changed["quality"] == {"name": "bought", "margin": 0.5, "planned": 500}
    assert with_quality(PLAN, quality_options(None, None, False)) == PLAN


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("converted", None, False), "--quality-margin"),
        ((None, 0.01, False), "--quality METRIC"),
        ((None, None, True), "--quality METRIC"),
    ],
)
def test_half_of_it_is_refused(options: Any, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        with_quality({"version": 2}, quality_options(*options))
