"""What the import is told about a model."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from augurium.client.registration import Parcel, VersionDetails, import_body, parcel
from augurium.client.results import Artifact
from augurium.core.errors import InvalidArgument

ARTIFACT = Artifact("a" * 64, 5)


def test_a_path_keeps_its_name_and_is_not_read_yet() -> None:
    assert parcel("folder/churn.ubj", None) == Parcel(Path("folder/churn.ubj"), "churn.ubj")


def test_rows_of_the_training_data_become_a_table_beside_the_file() -> None:
    found = parcel("churn.ubj", [{"age": 31}, {"age": None}])

    assert found.source == Path("churn.ubj")
    assert json.loads(found.table or b"") == {"columns": [{"name": "age", "values": [31, None]}]}


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

    assert import_body(Parcel(b"", "churn.ubj"), ARTIFACT, None, details) == {
        "artifact": "a" * 64,
        "filename": "churn.ubj",
    }


def test_the_framework_of_a_packaged_model_is_said_unless_another_is_named() -> None:
    packaged = Parcel(b"", "model.skops", framework="sklearn")

    assert import_body(packaged, ARTIFACT, None, {})["framework"] == "sklearn"
    assert import_body(packaged, ARTIFACT, None, {"framework": "onnx"})["framework"] == "onnx"


def test_a_table_is_named_by_its_digest() -> None:
    assert import_body(Parcel(b"", "m"), ARTIFACT, Artifact("t" * 64, 9), {})["table"] == "t" * 64


def test_a_time_without_a_zone_is_utc() -> None:
    moment = datetime(2026, 1, 31, 12)

    body = import_body(Parcel(b"", "m"), ARTIFACT, None, {"trained_at": moment})

    assert body["trained_at"] == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_metrics_may_be_numbers_of_numpy() -> None:
    details: VersionDetails = {"metrics": {"auc": np.float32(0.5), "n": np.int64(3)}}  # type: ignore[dict-item]

    metrics = import_body(Parcel(b"", "m"), ARTIFACT, None, details)["metrics"]

    assert metrics == {"auc": 0.5, "n": 3.0}
    assert {type(value) for value in metrics.values()} == {float}


def test_a_metric_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'auc' is nan"):
        import_body(Parcel(b"", "m"), ARTIFACT, None, {"metrics": {"auc": float("nan")}})
