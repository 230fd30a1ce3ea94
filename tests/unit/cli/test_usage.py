"""Mistakes in usage exit 2, go to standard error and say what was expected."""

from collections.abc import Callable

import pytest
from typer.testing import Result

Augurium = Callable[..., Result]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["deplyo"], "deploy"),
        (["models", "--jsn"], "--json"),
        (["deploy"], "NAME@VERSION"),
        (["deploy", "churn"], "expected one such as churn@3"),
        (["deploy", "churn@champion"], "expected one such as churn@3"),
        (["deploy", "churn@0"], "positive integer"),
        (["undeploy", "churn"], "expected one such as churn@3"),
        (["versions", "show"], "NAME@VERSION"),
        (["versions", "show", "churn"], "expected one such as churn@3"),
        (["versions", "list", "churn@3"], "augurium versions show churn@3"),
        (["alias", "churn", "3"], "expected one such as churn@champion"),
        (["alias", "churn@3", "3"], "an alias needs a letter"),
        (["alias", "churn@champion"], "either VERSION or --remove"),
        (["alias", "churn@champion", "3", "--remove"], "either VERSION or --remove"),
        (["alias", "churn@champion", "three"], "positive integer"),
        (["predict", "churn"], "--input"),
        (["predict", "churn", "--input", "absent.csv"], "absent.csv"),
        (["predict", "churn", "--input", "{"], "not JSON"),
        (["predict", "churn@03", "--input", "[]"], "leading zeros"),
        (["register", "absent.onnx", "--name", "churn"], "absent.onnx does not exist"),
        (["register", "gopher://host/x", "--name", "churn"], "s3://bucket/key"),
        (["import", "absent.augurium"], "absent.augurium does not exist"),
        (["serve", "--config", "absent.toml"], "absent.toml"),
        (["serve", "--port", "-1"], "--port"),
        (["serve", "--port", "many"], "integer"),
        (["serve", "--log-level", "loud"], "warning"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_told_with_what_was_expected(
    augurium: Augurium, arguments: list[str], hint: str
) -> None:
    result = augurium(*arguments)

    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--metric", "accuracy", "accuracy=0.93"),
        ("--metric", "=1", "accuracy=0.93"),
        ("--metric", "accuracy=high", "expected a number"),
        ("--metric", "accuracy=nan", "finite"),
        ("--tag", "risk", "team=risk"),
        ("--trained-at", "yesterday", "ISO 8601"),
    ],
)
def test_a_mistake_in_the_details_of_a_version_is_told_before_anything_is_sent(
    augurium: Augurium, option: str, value: str, hint: str
) -> None:
    result = augurium("register", __file__, "--name", "churn", option, value)

    assert result.exit_code == 2
    assert hint in result.stderr


def test_without_a_command_the_commands_are_shown(augurium: Augurium) -> None:
    result = augurium()

    assert "register" in result.output


def test_the_version_is_that_of_the_package(augurium: Augurium) -> None:
    import augurium as package

    assert augurium("--version").stdout.strip() == f"augurium {package.__version__}"
