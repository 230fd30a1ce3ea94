"""The options of a batch job on the command line."""

from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from augurium.cli.app import app
from augurium.cli.batch_flags import Inputs, Model, Output, checked, takes_job
from augurium.core.batch_job import BatchSpec

Asked = Callable[..., BatchSpec]


@pytest.fixture
def asked() -> Asked:
    """What a command with the flags of a job makes of its arguments."""
    made: list[BatchSpec] = []
    command = typer.Typer()

    @command.command()
    @takes_job
    def make(model: Model, inputs: Inputs, output: Output, options: Any) -> None:
        made.append(checked(model, inputs, output, options))

    def ask(*arguments: str) -> BatchSpec:
        result = CliRunner().invoke(command, list(arguments))
        assert result.exit_code == 0, result.output
        return made[-1]

    return ask


def test_without_flags_nothing_is_said_of_a_job(asked: Asked) -> None:
    spec = asked("churn@2", "/a", "/b", "/out")

    assert (spec.model, spec.version, spec.input.paths) == ("churn", 2, ("/a", "/b"))
    plain = BatchSpec(model="churn", version=2, input=spec.input, output=spec.output)
    assert spec == plain
    assert (spec.input.csv, spec.output.mode) == (plain.input.csv, "fail")


def test_every_flag_says_what_it_is_for(asked: Asked) -> None:
    flags = (
        "--format csv --map amount=order_amount --keep id --keep day --where x>1 --delimiter tab"
        " --quote ' --no-header --names id,day --encoding latin-1 --null NA --null -"
        " --output-format arrow --mode overwrite --partition-by day --outputs score"
        " --compression lz4 --max-bad-rows 0.1% --batch-size 8192 --workers 3"
        " --partition-rows 1000 --seed 7 --priority 0 --engine local --runtime xgboost --explain"
        " --label team=risk"
    )
    spec = asked("churn", "/in", "/out", *flags.split())
    told, csv, output = spec.input, spec.input.csv, spec.output

    assert (told.format, told.columns, told.keep) == (
        "csv",
        {"amount": "order_amount"},
        ("id", "day"),
    )
    assert told.where == "x>1"
    assert (csv.delimiter, csv.quote, csv.header, csv.names) == ("\t", "'", False, ("id", "day"))
    assert (csv.encoding, csv.null_values) == ("latin-1", ("NA", "-"))
    assert (output.format, output.mode, output.partition_by) == ("arrow", "overwrite", ("day",))
    assert (output.outputs, output.compression) == (("score",), "lz4")
    assert spec.max_bad_rows.share == pytest.approx(0.001)
    assert (spec.batch_size, spec.workers, spec.partition_rows) == (8192, 3, 1000)
    assert (spec.seed, spec.priority, spec.engine, spec.runtime) == (7, 0, "local", "xgboost")
    assert spec.explain
    assert spec.labels == {"team": "risk"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-bad-rows", "many"], "a count such as 100"),
        (["--map", "amount"], "amount=order_amount"),
        (["--label", "=risk"], "team=risk"),
        (["--priority", "101"], "priority"),
        (["--format", "xlsx"], "xlsx"),
    ],
)
def test_bad_usage_is_told_without_a_server(flags: list[str], said: str) -> None:
    runner = CliRunner(env={"AUGURIUM_URL": "http://127.0.0.1:9", "COLUMNS": "300"})
    result = runner.invoke(app, ["batch", "run", "churn", "/in", "/out", *flags])

    assert result.exit_code == 2
    assert said in result.output
