"""What a training table adds to an import: names, examples and the reference profile."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from augurium.client.packaging import package
from augurium.client.training_data import training_data
from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.settings import ImportSettings
from augurium.importing.importer import import_model
from augurium.importing.result import ImportRequest, ImportResult
from augurium.runtimes.runtime import load
from augurium.serving.validation import InputValidator
from augurium.statistics.bins import CategoricalBins, NumericBins
from augurium.statistics.profiles import FeatureProfile, Profile, read_profile

ROWS = 6000


def people(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows).astype(float),
            "income": rng.lognormal(10, 1, rows),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows, p=[0.6, 0.399, 0.001]),
            "churned": rng.integers(0, 2, rows),
        }
    )
    frame.loc[rng.random(rows) < 0.02, "age"] = np.nan
    return frame


def pipeline(frame: pd.DataFrame) -> Any:
    steps = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["age", "income"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    model = make_pipeline(steps, LogisticRegression(max_iter=2000))
    return model.fit(frame[["age", "income", "city"]], frame["churned"])


def imported(
    tmp_path: Path, content: bytes, filename: str, table: bytes, **limits: Any
) -> ImportResult:
    file, rows, folder = tmp_path / "upload", tmp_path / "table", tmp_path / "work"
    file.write_bytes(content)
    rows.write_bytes(table)
    folder.mkdir()
    request = ImportRequest(file=file, filename=filename, table=rows)
    settings = ImportSettings(timeout_s=600, **limits)
    return import_model(request, folder, settings, lambda stage, share: None)


def profile_of(result: ImportResult) -> Profile:
    assert result.profile is not None, result.report["training_data"]
    return read_profile(result.profile.read_bytes())


def by_name(parts: tuple[FeatureProfile, ...]) -> dict[str, FeatureProfile]:
    return {part.bins.name: part for part in parts}


def parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content)
    return content.getvalue()


def scores(model_features: int = 3) -> bytes:
    """A graph that sums a row of numbers into a score."""
    kind = onnx.TensorProto.FLOAT
    node = oh.make_node("ReduceSum", ["x", "axes"], ["score"], keepdims=0)
    axes = oh.make_tensor("axes", onnx.TensorProto.INT64, [1], [1])
    graph = oh.make_graph(
        [node],
        "g",
        [oh.make_tensor_value_info("x", kind, ["n", model_features])],
        [oh.make_tensor_value_info("score", kind, ["n"])],
        [axes],
    )
    made = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def test_a_whole_table_becomes_profile_and_examples(tmp_path: Path) -> None:
    frame = people()
    packaged = package(pipeline(frame))

    result = imported(tmp_path, packaged.content, packaged.filename, parquet(frame))

    profile = profile_of(result)
    features, outputs = by_name(profile.features), by_name(profile.outputs)
    assert (profile.rows, profile.output_rows) == (ROWS, ROWS)
    assert list(features) == ["age", "income", "city"]
    age = features["age"]
    assert isinstance(age.bins, NumericBins)
    assert age.n_missing == frame["age"].isna().sum()
    assert (age.min, age.max) == (frame["age"].min(), frame["age"].max())
    assert age.moments.mean == pytest.approx(frame["age"].mean())
    assert features["income"].moments.variance == pytest.approx(
        frame["income"].astype(np.float32).astype(float).var()
    )
    counts = frame["city"].value_counts()
    assert dict(features["city"].labelled_counts()) == {
        **{str(city): int(count) for city, count in counts.items()},
        "__other__": 0,
        "__new__": 0,
    }
    answers = pipeline(frame).predict_proba(frame[["age", "income", "city"]])
    assert outputs["probabilities[1]"].moments.mean == pytest.approx(answers[:, 1].mean(), abs=1e-4)
    assert isinstance(outputs["label"].bins, CategoricalBins)
    assert sum(outputs["label"].counts) == ROWS
    assert result.report["training_data"] == {"rows": ROWS, "output_rows": ROWS, "notes": []}


def test_examples_are_telling_rows_that_a_server_takes_and_answers(tmp_path: Path) -> None:
    frame = people()
    packaged = package(pipeline(frame))

    result = imported(tmp_path, packaged.content, packaged.filename, parquet(frame))

    assert len(result.examples) == 5
    assert any(row["age"] is None for row in result.examples)
    assert any(row["city"] == "Lima" for row in result.examples)
    tensors = tensors_from_instances(Instances(list(result.examples)), result.signature)
    prepared = InputValidator("m", result.signature).prepare(tensors)
    names = [spec.name for spec in result.signature.inputs]
    inputs = dict(zip(names, prepared.inputs, strict=True))
    model = load(result.runtime, result.servable, result.options)
    assert [len(found) for found in model.run(inputs)] == [5, 5]


def test_a_frame_names_the_features_of_a_bare_matrix(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 3)), columns=["a", "b", "c"])
    table = training_data(frame)
    assert isinstance(table, bytes)

    result = imported(tmp_path, scores(), "model.onnx", table)

    assert result.signature.inputs[0].features == ("a", "b", "c")
    profile = profile_of(result)
    assert list(by_name(profile.features)) == ["a", "b", "c"]
    sums = frame.astype(np.float32).sum(axis=1)
    assert by_name(profile.outputs)["score"].moments.mean == pytest.approx(sums.mean(), abs=1e-5)


def test_numbers_are_counted_in_the_precision_that_engines_see(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.1, 0.2] * 50, "b": [1.0] * 100, "c": np.arange(100.0)})
    result = imported(tmp_path, scores(), "model.onnx", parquet(frame))
    bins = by_name(profile_of(result).features)["a"].bins
    assert isinstance(bins, CategoricalBins)
    assert bins.categories == (float(np.float32(0.1)), float(np.float32(0.2)))
    assert result.examples[0]["a"] in (0.1, 0.2)


def test_a_table_that_does_not_fit_the_model_is_still_described(tmp_path: Path) -> None:
    frame = people(400)
    result = imported(tmp_path, scores(2), "model.onnx", parquet(frame))
    profile = profile_of(result)
    assert list(by_name(profile.features)) == ["age", "income", "city", "churned"]
    assert (profile.outputs, profile.output_rows, result.examples) == ((), 0, ())
    assert profile.notes == (
        "no profile of the outputs: the inputs ['x'] are no columns of a table",
    )


def test_rows_that_a_server_would_refuse_are_not_answered(tmp_path: Path) -> None:
    kind = onnx.TensorProto.INT64
    graph = oh.make_graph(
        [oh.make_node("Identity", ["n"], ["same"])],
        "g",
        [oh.make_tensor_value_info("n", kind, ["rows"])],
        [oh.make_tensor_value_info("same", kind, ["rows"])],
    )
    made = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    table = json.dumps({"n": [1, 2, None, 4, 5]}).encode()

    result = imported(tmp_path, made.SerializeToString(), "model.onnx", table)

    profile = profile_of(result)
    assert (profile.rows, profile.output_rows) == (5, 4)
    assert profile.features[0].n_missing == 1
    assert "the outputs are those of 4 of 5 rows" in profile.notes
    assert all(isinstance(row["n"], int) for row in result.examples)


def test_categories_of_xgboost_travel_as_codes(tmp_path: Path) -> None:
    frame = people(800)
    features = frame[["age", "city"]].assign(city=frame["city"].astype("category"))
    model = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True)
    model.fit(features, frame["churned"])
    table = training_data(features, "xgboost")
    assert isinstance(table, bytes)
    packaged = package(model)

    result = imported(tmp_path, packaged.content, packaged.filename, table)

    city = by_name(profile_of(result).features)["city"].bins
    assert isinstance(city, CategoricalBins)
    codes = features["city"].cat.codes.unique()
    assert city.categories == tuple(sorted(float(code) for code in codes))


def test_a_huge_text_is_in_no_profile_and_no_example(tmp_path: Path) -> None:
    frame = people()
    packaged = package(pipeline(frame))
    frame.loc[3, "city"] = "x" * 2_000_000

    result = imported(tmp_path, packaged.content, packaged.filename, parquet(frame))

    assert result.profile is not None
    assert result.profile.stat().st_size < 100_000
    cities = by_name(profile_of(result).features)["city"]
    assert dict(cities.labelled_counts())["__other__"] == 1
    assert len(result.examples) == 5
    assert len(json.dumps(result.examples)) < 10_000


def test_a_table_that_cannot_be_read_ends_the_import(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read as Parquet"):
        imported(tmp_path, scores(), "model.onnx", parquet(people(50))[:300])


def test_without_a_table_there_is_no_profile(tmp_path: Path) -> None:
    file, folder = tmp_path / "upload", tmp_path / "work"
    file.write_bytes(scores())
    folder.mkdir()
    request = ImportRequest(file=file, filename="model.onnx")
    result = import_model(request, folder, ImportSettings(), lambda stage, share: None)
    assert (result.profile, result.examples, result.report["training_data"]) == (None, (), {})
