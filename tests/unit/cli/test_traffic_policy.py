"""Traffic policies as they are written on the command line and shown."""

from pathlib import Path
from typing import Any

import pytest
import typer

from augurium.cli.traffic_policy import (
    policy_of_file,
    rule_rows,
    rules,
    shares,
    split_rows,
    variants,
)

TOML = """
unit = "header:x-customer"

[[split]]
version = 2
weight = 100
name = "all"
"""


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("v1=90", {"version": 1, "weight": 90.0}),
        ("2=0.5", {"version": 2, "weight": 0.5}),
        ("v3=10%", {"version": 3, "weight": 10.0}),
        ("challenger@v4=10", {"version": 4, "weight": 10.0, "name": "challenger"}),
    ],
)
def test_a_share_names_a_version_and_perhaps_its_variant(
    text: str, variant: dict[str, Any]
) -> None:
    assert variants([text]) == [variant]


@pytest.mark.parametrize("text", ["v1", "v0=10", "one=10", "=10", "v1=", "v1=much", "v-1=3"])
def test_what_is_no_share_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="challenger@2=10"):
        variants([text])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "header:country=DE,AT:2",
            {"source": "header:country", "version": 2, "values": ["DE", "AT"]},
        ),
        ("header:zip=01:v2", {"source": "header:zip", "version": 2, "values": ["01"]}),
        (
            "feature:age=1.0,x:2",
            {"source": "feature:age", "version": 2, "values": [1.0, "x"]},
        ),
        (
            "feature:age=18..65:2",
            {"source": "feature:age", "version": 2, "least": 18.0, "most": 65.0},
        ),
        ("feature:age=18..:2", {"source": "feature:age", "version": 2, "least": 18.0}),
        ("header:x=..-1:2", {"source": "header:x", "version": 2, "most": -1.0}),
    ],
)
def test_a_rule_has_values_or_a_range(text: str, rule: dict[str, Any]) -> None:
    assert rules([text]) == [rule]


@pytest.mark.parametrize(
    "text",
    ["country=DE:2", "header:country=DE", "header:country:2", "header:x=:2", "feature:a=a..b:2"],
)
def test_what_is_no_rule_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="SOURCE=VALUE"):
        rules([text])


def test_the_word_none_takes_all_rules_away() -> None:
    assert rules(["none"]) == []


def test_a_file_of_toml_or_json_is_a_whole_policy(tmp_path: Path) -> None:
    toml, json = tmp_path / "p.toml", tmp_path / "p.json"
    toml.write_text(TOML)
    json.write_text('{"split": [{"version": 1, "weight": 100}]}')

    assert policy_of_file(toml)["unit"] == "header:x-customer"
    assert policy_of_file(json) == {"split": [{"version": 1, "weight": 100}]}


@pytest.mark.parametrize("content", ["", "{", '{"splits": []}', '{"split": 7}'])
def test_a_file_that_holds_no_policy_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)

    with pytest.raises(typer.BadParameter, match="holds no traffic policy"):
        policy_of_file(file)


def test_a_policy_is_shown_with_bars_and_conditions() -> None:
    policy = {
        "split": variants(["v1=75", "challenger@2=25", "v3=0"]),
        "rules": rules(["header:country=DE,AT:2", "feature:age=18..65:2", "feature:age=..9:1"]),
    }

    assert shares(policy) == "v1 75 %, challenger (v2) 25 %, v3 0 %, 3 rules"
    assert list(split_rows(policy)) == [
        ("v1", 1, "75 %", "█" * 30),
        ("challenger", 2, "25 %", "█" * 10),
        ("v3", 3, "0 %", "▏"),
    ]
    assert [row[2] for row in rule_rows(policy)] == [
        "is DE or AT",
        "at least 18 and at most 65",
        "at most 9",
    ]
