"""Which runtime scores a version by the thousand."""

from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import pytest

from augurium.batch.code_confinement import check_reach
from augurium.batch.model_choice import ModelChoice, choose
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.registry.records import Artifact, Version

FILE = Artifact("0" * 64, 1)
XGBOOST = metadata.version("xgboost-cpu")
LIGHTGBM = metadata.version("lightgbm")


def version(runtime: str, source: str = "onnx", trained_with: str = "", **more: Any) -> Version:
    """As it is registered; `source` is the format of its file."""
    framework = source.partition("-")[0]
    report = {"format": source, "engines": {}, "versions": {framework: trained_with}}
    fields: dict[str, Any] = {"report": report, **more}
    return Version(
        model="fraud",
        version=3,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        framework=framework,
        framework_version="1",
        runtime=runtime,
        source=FILE,
        source_name="model",
        servable=FILE,
        signature=Signature((), ()),
        **fields,
    )


def test_xgboost_itself_scores_what_onnx_serves() -> None:
    served = version("onnx", "xgboost-ubj", XGBOOST)

    assert choose(served) == ModelChoice("xgboost", from_source=True)


def test_onnx_scores_what_lightgbm_made_because_it_is_faster() -> None:
    assert choose(version("onnx", "lightgbm", LIGHTGBM)) == ModelChoice("onnx")


def test_lightgbm_itself_is_faster_than_treelite() -> None:
    served = version("treelite", "lightgbm", LIGHTGBM)

    assert choose(served) == ModelChoice("lightgbm", from_source=True)


def test_another_release_than_the_one_the_import_compared_with_is_not_trusted() -> None:
    assert choose(version("onnx", "xgboost-ubj", "1.0.0")) == ModelChoice("onnx")


def test_a_model_behind_preprocessing_is_scored_as_it_is_served() -> None:
    served = version("onnx", "xgboost-ubj", XGBOOST, preprocessing=FILE)

    assert choose(served) == ModelChoice("onnx")


def test_an_engine_that_did_not_pass_the_import_is_not_used() -> None:
    report = {
        "format": "xgboost-json",
        "engines": {"xgboost": {"outcome": "mismatch: 3 rows differ"}},
        "versions": {"xgboost": XGBOOST},
    }

    assert choose(version("onnx", report=report)) == ModelChoice("onnx")


def test_a_runtime_may_be_asked_for() -> None:
    served = version("onnx", "xgboost-ubj", XGBOOST)

    assert choose(served, "onnx") == ModelChoice("onnx")
    with pytest.raises(InvalidArgument, match="cannot be run by 'torch'; expected xgboost or onnx"):
        choose(served, "torch")


def test_contributions_come_from_the_framework_itself() -> None:
    served = version("onnx", "lightgbm", LIGHTGBM)

    assert choose(served, explain=True) == ModelChoice("lightgbm", from_source=True)


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (version("onnx"), "has no contributions of features"),
        (version("onnx", "xgboost-ubj", "1.0.0"), r"need xgboost 1\.0\.0"),
        (version("onnx", "xgboost-ubj", XGBOOST, preprocessing=FILE), "without preprocessing"),
    ],
)
def test_where_contributions_cannot_be_had_it_is_said_why(served: Version, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        choose(served, explain=True)


def test_code_reaches_no_object_store() -> None:
    spec = BatchSpec(
        model="fraud", input=InputSpec(paths=("/data",)), output=OutputSpec(path="s3://b/out")
    )

    check_reach(spec, version("onnx"))
    with pytest.raises(InvalidArgument, match=r"fraud@3 runs code of its own.*s3://b/out"):
        check_reach(spec, version("python"))
