"""`augurium preprocess`, from a specification to a graph and a skew report."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

from augurium.cli.app import app
from augurium.preprocessing import read_fitted

SPEC = """
[[transforms]]
type = "impute"
columns = "age"
[[transforms]]
type = "standardize"
columns = ["age", "fare"]
[[transforms]]
type = "target_mean"
columns = "city"
"""
TABLE = "age,fare,city,bought\n31,7.5,Rome,1\n,8.25,Oslo,0\n55,9,Rome,0\n"

Command = Callable[..., Result]


@pytest.fixture
def preprocess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `augurium preprocess` in a folder with a specification and a table."""
    monkeypatch.chdir(tmp_path)
    Path("spec.toml").write_text(SPEC)
    Path("table.csv").write_text(TABLE)
    runner = CliRunner(env={"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"})
    return lambda *arguments: runner.invoke(app, ["preprocess", *arguments])


@pytest.fixture
def fitted(preprocess: Command) -> Result:
    return preprocess("fit", "spec.toml", "table.csv", "-o", "f.json", "--target", "bought")


def test_fit_writes_what_it_shows(fitted: Result, preprocess: Command) -> None:
    assert fitted.exit_code == 0, fitted.stderr
    assert "target_mean" not in fitted.stdout
    assert "age, fare, city" in fitted.stdout
    assert preprocess("show", "f.json").stdout == fitted.stdout


def test_json_is_the_fitted_preprocessing(fitted: Result, preprocess: Command) -> None:
    shown = preprocess("show", "f.json", "--json").stdout

    assert msgspec.json.decode(shown)["outputs"] == ["age", "fare", "city"]
    assert msgspec.json.decode(shown) == msgspec.json.decode(Path("f.json").read_bytes())


def test_apply_writes_parquet_or_csv(fitted: Result, preprocess: Command) -> None:
    expected, names = read_fitted(Path("f.json")).transform(
        pyarrow.csv.read_csv("table.csv").to_pandas()
    )

    assert preprocess("apply", "f.json", "table.csv", "-o", "out.parquet").exit_code == 0
    found = preprocess("apply", "f.json", "table.csv", "-o", "out.csv", "--json")

    assert msgspec.json.decode(found.stdout) == {"rows": 3, "columns": 3, "file": "out.csv"}
    for table in (pyarrow.parquet.read_table("out.parquet"), pyarrow.csv.read_csv("out.csv")):
        assert tuple(table.column_names) == names
        np.testing.assert_allclose(table.to_pandas().to_numpy(), expected, rtol=1e-6)


def test_compile_writes_a_graph_of_raw_columns(fitted: Result, preprocess: Command) -> None:
    assert preprocess("compile", "f.json", "-o", "f.onnx").exit_code == 0

    session = onnxruntime.InferenceSession("f.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["age", "fare", "city"]


def test_skew_ends_with_1_when_a_value_differs(fitted: Result, preprocess: Command) -> None:
    preprocess("apply", "f.json", "table.csv", "-o", "out.csv")
    Path("wrong.csv").write_text('"age","fare","city"\n0,0,0\n0,0,0\n0,0,0\n')

    right = preprocess("skew", "f.json", "table.csv", "--expected", "out.csv")
    wrong = preprocess("skew", "f.json", "table.csv", "--expected", "wrong.csv", "--json")

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "agrees" in right.stdout
    columns = msgspec.json.decode(wrong.stdout)["columns"]
    assert [column["name"] for column in columns if column["rows_beyond_tolerance"]] == [
        "age",
        "fare",
        "city",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("fit", "spec.toml", "table.csv", "-o", "x"), 1, "needs the target column"),
        (("fit", "spec.toml", "none.csv", "-o", "x"), 2, "does not exist"),
        (("fit", "table.csv", "table.csv", "-o", "x"), 1, "'table.csv' is not JSON"),
        (("show", "spec.toml"), 1, "is not a fitted preprocessing"),
        (("apply", "f.json", "table.csv", "-o", "out.xlsx"), 1, "expected .parquet or .csv"),
        (("compile", "spec.toml", "-o", "x"), 1, "is not a fitted preprocessing"),
        (("skew", "f.json", "spec.toml"), 1, "expected a file ending in .parquet"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_traceback(
    fitted: Result, preprocess: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found = preprocess(*arguments)

    assert found.exit_code == code
    assert said in found.stderr
    assert "Traceback" not in found.stderr
