"""What Python code and the command line say of a batch job becomes what the server takes."""

from pathlib import Path
from typing import Any

import pytest

from augurium.client.batch_spec import bad_rows, batch_spec
from augurium.core.batch_job import BadRows, BatchSpec, CsvRules, InputSpec, OutputSpec
from augurium.core.errors import InvalidArgument


def test_little_said_leaves_the_rest_to_the_server() -> None:
    assert batch_spec("churn", "/in", "s3://bucket/out") == BatchSpec(
        model="churn", input=InputSpec(paths=("/in",)), output=OutputSpec(path="s3://bucket/out")
    )


def test_everything_said_stands_where_it_belongs() -> None:
    spec = batch_spec(
        "churn@3",
        ["/a.csv", Path("/b.csv")],
        "/out",
        format="csv",
        columns={"amount": "order_amount"},
        keep=["id"],
        where="country = 'DE'",
        delimiter=";",
        header=False,
        names=["id", "amount"],
        output_format="jsonl",
        mode="append",
        partition_by=["id"],
        outputs=["score"],
        max_bad_rows="0.5%",
        batch_size=4096,
        priority=90,
        explain=True,
        labels={"team": "risk"},
    )

    assert spec == BatchSpec(
        model="churn",
        version=3,
        input=InputSpec(
            paths=("/a.csv", "/b.csv"),
            format="csv",
            columns={"amount": "order_amount"},
            keep=("id",),
            where="country = 'DE'",
            csv=CsvRules(delimiter=";", header=False, names=("id", "amount")),
        ),
        output=OutputSpec(
            path="/out",
            format="jsonl",
            mode="append",
            partition_by=("id",),
            outputs=("score",),
        ),
        max_bad_rows=BadRows(share=0.005),
        batch_size=4096,
        priority=90,
        explain=True,
        labels={"team": "risk"},
    )


def test_an_alias_is_told_from_a_version() -> None:
    assert batch_spec("churn@champion", "/in", "/out").alias == "champion"


def test_paths_are_those_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = batch_spec("churn", ["data/*.parquet", "az://box/in"], "out")

    assert spec.input.paths == (f"{tmp_path}/data/*.parquet", "az://box/in")
    assert spec.output.path == f"{tmp_path}/out"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", BadRows(count=0)),
        (100, BadRows(count=100)),
        ("0.1%", BadRows(share=0.001)),
        (" 100 % ", BadRows(share=1.0)),
    ],
)
def test_bad_rows_are_a_count_or_a_share(text: int | str, limit: BadRows) -> None:
    assert bad_rows(text) == limit


@pytest.mark.parametrize("text", ["", "many", "-1", "101%", "%", "nan%", "1.5", "1e3"])
def test_other_texts_are_no_number_of_bad_rows(text: str) -> None:
    with pytest.raises(InvalidArgument, match="a count such as 100"):
        bad_rows(text)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"format": "xlsx"}, "xlsx"),
        ({"mode": "maybe"}, "maybe"),
        ({"priority": 101}, "priority"),
        ({"keep": "id"}, "keep is a text"),
        ({"delimiter": "||"}, "delimiter"),
        ({"speed": 3}, "speed"),
        ({"workers": 0}, "workers"),
    ],
)
def test_what_does_not_fit_is_told_before_any_server_is_asked(
    said: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidArgument, match=why.replace("|", r"\|")):
        batch_spec("churn", "/in", "/out", **said)


@pytest.mark.parametrize(("model", "inputs"), [("churn@0", "/in"), ("", "/in"), ("churn", [])])
def test_a_job_needs_a_model_and_an_input(model: str, inputs: Any) -> None:
    with pytest.raises(InvalidArgument):
        batch_spec(model, inputs, "/out")
