"""What the import is told about a model."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from augurium.client.registration import Parcel, VersionDetails, details_body, import_body, parcel
from augurium.client.results import Artifact
from augurium.client.upload import Upload
from augurium.core.errors import InvalidArgument

ARTIFACT = Artifact("a" * 64, 5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "churn.ubj"
    found.write_bytes(b"model")
    return found


def sent(source: Any) -> bytes:
    return b"".join(Upload(source).chunks())


def test_a_path_keeps_its_name_and_is_sent_as_it_is(file: Path) -> None:
    found = parcel(str(file), None)

    assert (found.filename, sent(found.source), found.table) == ("churn.ubj", b"model", None)


def test_a_file_of_training_data_goes_along_as_it_is(file: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"age\n31\n")

    assert sent(parcel(file, tmp_path / "train.csv").table) == b"age\n31\n"


def test_a_file_of_training_data_that_is_not_there_is_told_before_anything_is_sent(
    file: Path,
) -> None:
    with pytest.raises(InvalidArgument, match=r"nowhere\.csv"):
        parcel(file, "nowhere.csv")


@pytest.mark.parametrize(
    "data",
    [
        [{"age": 31}, {"age": None}],
        {"age": [31, None]},
        pd.DataFrame({"age": pd.array([31, None], "Int64")}, index=[7, 8]),
        pa.table({"age": [31, None]}),
    ],
    ids=["rows", "columns", "frame", "arrow"],
)
def test_training_data_in_memory_goes_along_as_an_arrow_table(data: object, file: Path) -> None:
    found = parcel(file, data)

    assert isinstance(found.table, bytes)
    assert pa.ipc.open_file(found.table).read_all().to_pydict() == {"age": [31, None]}


@pytest.mark.parametrize("data", [7, b"age", {"age": [1, "x"]}, {"a": [1], "b": [1, 2]}], ids=str)
def test_what_is_no_table_is_refused(data: object, file: Path) -> None:
    with pytest.raises(InvalidArgument, match="table"):
        parcel(file, data)


def test_a_model_in_memory_is_packed_with_its_framework_named() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])

    found = parcel(model, None)

    assert (found.filename, found.framework) == ("model.skops", "sklearn")
    assert isinstance(found.source, bytes)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot be registered"):
        parcel({"weights": [1.0]}, None)


def test_only_what_was_said_is_sent() -> None:
    details: VersionDetails = {"framework": None, "trained_at": None, "metrics": {}}

    assert import_body(Parcel(b"", "churn.ubj"), ARTIFACT, details_body(details)) == {
        "artifact": "a" * 64,
        "filename": "churn.ubj",
    }


def test_the_framework_of_a_packaged_model_is_said_unless_another_is_named() -> None:
    packaged = Parcel(b"", "model.skops", framework="sklearn")

    assert import_body(packaged, ARTIFACT, {})["framework"] == "sklearn"
    assert import_body(packaged, ARTIFACT, {"framework": "onnx"})["framework"] == "onnx"


def test_table_and_transforms_are_named_by_their_digests() -> None:
    table, transforms = Artifact("t" * 64, 9), Artifact("p" * 64, 9)

    body = import_body(Parcel(b"", "m"), ARTIFACT, {}, table, transforms)

    assert (body["table"], body["preprocessing"]) == ("t" * 64, "p" * 64)


def test_where_a_version_comes_from_is_said_together() -> None:
    details: VersionDetails = {
        "code_revision": "4f2a",
        "dataset_uri": "s3://data/train.parquet",
        "run_url": "https://tracker/runs/7",
        "parent_version": 2,
        "engine": "treelite",
    }

    assert import_body(Parcel(b"", "m"), ARTIFACT, details_body(details)) == {
        "artifact": "a" * 64,
        "filename": "m",
        "engine": "treelite",
        "lineage": {
            "code_revision": "4f2a",
            "dataset_uri": "s3://data/train.parquet",
            "run_url": "https://tracker/runs/7",
            "parent_version": 2,
        },
    }


def test_the_address_of_the_data_is_kept_without_secrets() -> None:
    def uri(data: object, **details: Any) -> Any:
        return (details_body(details, data)["lineage"] or {}).get("dataset_uri")  # type: ignore[arg-type]

    assert uri("s3://data/train.parquet") == "s3://data/train.parquet"
    assert uri("https://me:word@host/t.csv?X-Signature=9f") == "https://host/t.csv"
    assert uri("s3://data/train.parquet", dataset_uri="v7") == "v7"
    assert uri("train.parquet") is None
    assert uri([{"age": 31}]) is None


def test_a_card_is_text_or_the_path_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Churn\n", "utf-8")
    (tmp_path / "card.bin").write_bytes(b"\xff\xfe")

    assert details_body({"card": "# Churn"})["card"] == "# Churn"
    assert details_body({"card": tmp_path / "card.md"})["card"] == "# Churn\n"
    for unreadable in ("card.bin", "nowhere.md"):
        with pytest.raises(InvalidArgument, match=f"the card .*{unreadable} cannot be read"):
            details_body({"card": tmp_path / unreadable})


def test_a_time_without_a_zone_is_utc() -> None:
    moment = datetime(2026, 1, 31, 12)

    told = details_body({"trained_at": moment})["trained_at"]

    assert told == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_metrics_may_be_numbers_of_numpy() -> None:
    details: VersionDetails = {"metrics": {"auc": np.float32(0.5), "n": np.int64(3)}}  # type: ignore[dict-item]

    metrics = details_body(details)["metrics"]

    assert metrics == {"auc": 0.5, "n": 3.0}
    assert {type(value) for value in metrics.values()} == {float}


def test_a_metric_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'auc' is nan"):
        details_body({"metrics": {"auc": float("nan")}})
