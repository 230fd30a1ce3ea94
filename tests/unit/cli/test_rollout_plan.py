"""`augurium rollout plan`: what people see and scripts get, without a server."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

Augurium = Callable[..., Result]
CONVERSION = ("rollout", "plan", "--baseline", "0.10", "--effect", "0.01", "--per-day", "2000")


def test_a_plan_tells_units_weeks_looks_and_split(augurium: Augurium) -> None:
    found = augurium(*CONVERSION, "--split", "80/20").stdout

    assert "48,745: 38,996 + 9,749, the control first" in found
    assert "28, whole weeks; 24.4 by the units alone" in found
    assert "|z| above 5.82, 4.03, 3.24, 2.77, 2.46, 2.23, 2.06" in found
    assert "1.60 times the units of an even one" in found
    assert "underpowered" not in found


def test_the_curve_of_a_plan_falls_week_by_week_until_it_is_enough(augurium: Augurium) -> None:
    lines = augurium(*CONVERSION).stdout.splitlines()

    weeks = [line for line in lines if "█" in line]
    lengths = [line.count("█") for line in weeks]
    assert lengths == sorted(lengths, reverse=True)
    assert ["enough" in line for line in weeks] == [False, False, True, True]


def test_a_plan_that_cannot_reach_its_effect_says_so(augurium: Augurium) -> None:
    result = augurium(*CONVERSION, "--days", "7")

    assert result.exit_code == 0
    assert "underpowered: 7 days are too few" in result.stdout


def test_a_script_gets_the_plan_as_json(augurium: Augurium) -> None:
    options = ("--mean", "10", "--sd", "30", "--effect", "-0.05", "--relative", "--per-day", "500")

    found = json.loads(augurium("rollout", "plan", *options, "--days", "14", "--json").stdout)

    assert found["question"]["effect"] == -0.5
    assert found["units_per_variant"] == [58_300, 58_300]
    assert found["days"] == 238
    assert found["underpowered"] is True
    assert found["split_cost"] == 1


def test_a_relative_effect_is_a_part_of_the_baseline(augurium: Augurium) -> None:
    absolute = augurium(*CONVERSION, "--json").stdout
    relative = augurium(*CONVERSION, "--effect", "0.1", "--relative", "--json").stdout

    assert json.loads(relative)["units_per_variant"] == json.loads(absolute)["units_per_variant"]


def test_several_treatments_and_cuped_are_told(augurium: Augurium) -> None:
    found = augurium(*CONVERSION, "--split", "2/1/1", "--correlation", "0.5").stdout

    assert "2, alpha 0.025 for each treatment against the control" in found
    assert "leaves 75 % of the units" in found


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--baseline", "1.5"], "between 0 and 1, such as 0.10"),
        (["--effect", "0.95"], "give 1.05"),
        (["--effect", "0"], "other than 0"),
        (["--effect", "1e-9"], "more than come in a hundred years"),
        (["--per-day", "-3"], "expected a positive number"),
        (["--per-day", "nan"], "expected a positive number"),
        (["--split", "80"], "expected one such as 80/20"),
        (["--split", "80/-20"], "expected one such as 80/20"),
        (["--split", "most/some"], "expected one such as 80/20"),
        (["--mean", "3"], "either --baseline, or --mean and --sd"),
        (["--looks", "0"], "expected 1 to 400"),
        (["--power", "0.01"], "above alpha and below 1"),
        (["--alpha", "5"], "such as 0.05"),
        (["--design", "bayes"], "expected obrien-fleming, pocock, always-valid or fixed"),
        (["--correlation", "1"], "expected 0 to below 1"),
        (["--days", "0"], "at least one"),
    ],
    ids=" ".join,
)
def test_nonsense_is_told_with_what_was_expected(
    augurium: Augurium, options: list[str], hint: str
) -> None:
    result = augurium(*CONVERSION, *options)

    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stdout == ""
