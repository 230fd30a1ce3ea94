"""A model behind a preprocessing, imported in real child processes: raw columns in, its own answers
out.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper

from augurium.client.packaging import package
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.settings import ImportSettings
from augurium.core.tensors import Array
from augurium.importing.importer import import_model
from augurium.importing.result import ImportRequest, ImportResult
from augurium.preprocessing import (
    Column,
    DateParts,
    FittedPreprocessing,
    Impute,
    OneHot,
    Preprocessing,
    Standardize,
    Text,
)
from augurium.preprocessing.graph_inputs import graph_inputs
from augurium.runtimes.runtime import load
from augurium.serving.validation import InputValidator
from augurium.statistics.profiles import read_profile
from tests.support.preprocessing import texts

RNG = np.random.default_rng(0)
ROWS = 400
RAW: dict[str, Any] = {
    "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40, 12, ROWS)),
    "fare": RNG.lognormal(2, 1, ROWS),
    "city": RNG.choice(np.array(["Rome", "Oslo", "Lima"], np.object_), ROWS),
    "when": RNG.uniform(1.6e9, 1.7e9, ROWS),
}
DECLARED = Preprocessing(
    (
        Impute("age", indicator=True),
        Standardize(("age", "fare")),
        Text("city", lower=True, trim=True),
        OneHot("city", unseen="error"),
        DateParts("when", ("month", "weekday")),
    ),
    (Column("when", "datetime"),),
)


@pytest.fixture
def fitted() -> FittedPreprocessing:
    return DECLARED.fit(RAW)


def trained(matrix: Array, **settings: Any) -> xgboost.XGBClassifier:
    noise = np.random.default_rng(1).normal(size=len(matrix))
    answers = (matrix[:, 2] + matrix[:, 4] + noise > 0.2).astype(int)
    return xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1, **settings).fit(
        matrix, answers
    )


def imported(
    tmp_path: Path,
    content: bytes,
    name: str,
    fitted: FittedPreprocessing,
    table: bytes | None = None,
) -> ImportResult:
    (tmp_path / "model").write_bytes(content)
    (tmp_path / "fitted.json").write_bytes(fitted.to_json())
    if table is not None:
        (tmp_path / "table.json").write_bytes(table)
    (tmp_path / "work").mkdir()
    request = ImportRequest(
        file=tmp_path / "model",
        filename=name,
        table=None if table is None else tmp_path / "table.json",
        preprocessing=tmp_path / "fitted.json",
    )
    return import_model(
        request, tmp_path / "work", ImportSettings(timeout_s=600), lambda stage, share: None
    )


def answers(result: ImportResult, inputs: dict[str, Array]) -> dict[str, Array]:
    names = [spec.name for spec in result.signature.outputs]
    model = load(result.runtime, result.servable, result.options, result.weights)
    return dict(zip(names, model.run(inputs, names), strict=True))


def sample() -> bytes:
    columns = [
        {"name": name, "values": [None if v != v else v for v in values.tolist()]}
        for name, values in RAW.items()
    ]
    return msgspec.json.encode({"columns": columns})


@pytest.mark.parametrize("with_table", [False, True])
def test_an_xgboost_model_answers_raw_rows_as_it_answers_transformed_ones(
    tmp_path: Path, fitted: FittedPreprocessing, with_table: bool
) -> None:
    matrix, _ = fitted.transform(RAW)
    model = trained(matrix)
    content = bytes(model.get_booster().save_raw("ubj"))

    result = imported(tmp_path, content, "m.ubj", fitted, sample() if with_table else None)

    found = answers(result, graph_inputs(fitted, RAW))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(matrix), atol=1e-5)
    assert result.runtime == "onnx"
    assert result.report["parity"]["rows"] > 300
    assert [spec.name for spec in result.signature.inputs] == ["when", "age", "fare", "city"]


def test_named_features_reach_the_model_through_the_signature(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    matrix, _ = fitted.transform(RAW)
    model = trained(matrix)
    result = imported(tmp_path, bytes(model.get_booster().save_raw("ubj")), "m.ubj", fitted)
    row = {"age": None, "fare": 7.25, "city": " ROME ", "when": "2024-02-29T12:00:00Z"}

    tensors = tensors_from_instances(Instances([row]), result.signature)
    prepared = InputValidator("m", result.signature).prepare(tensors)
    inputs = dict(zip([s.name for s in result.signature.inputs], prepared.inputs, strict=True))

    same, _ = fitted.transform(
        {"age": [None], "fare": [7.25], "city": texts("rome"), "when": [1709208000.0]}
    )
    np.testing.assert_allclose(
        answers(result, inputs)["probabilities"], model.predict_proba(same), atol=1e-5
    )


def test_a_linear_model_of_scikit_learn_is_merged_too(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    fitted = Preprocessing((Impute("age"), Standardize(("age", "fare")), OneHot("city"))).fit(RAW)
    matrix, _ = fitted.transform(RAW)
    model = LogisticRegression().fit(matrix, matrix[:, 0] > 0)
    packaged = package(model, None)

    result = imported(tmp_path, packaged.content, packaged.filename, fitted)

    found = answers(result, graph_inputs(fitted, RAW))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(matrix), atol=1e-5)


def onnx_model(width: int, output: str) -> tuple[bytes, Array]:
    """A linear model of an old opset, inside of which a value is called like a raw column."""
    weights = RNG.normal(size=(width, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["age" if output != "age" else "inside"]),
            helper.make_node("Neg", ["age" if output != "age" else "inside"], [output]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", 12)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return model.SerializeToString(), weights


def test_an_onnx_model_is_merged_and_held_against_itself(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    content, weights = onnx_model(len(fitted.outputs), "score")

    result = imported(tmp_path, content, "m.onnx", fitted)

    found = answers(result, graph_inputs(fitted, RAW))
    expected = -fitted.transform(RAW)[0] @ weights
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4, atol=1e-4)


def test_an_output_called_like_a_raw_column_is_refused(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    content, _ = onnx_model(len(fitted.outputs), "age")

    with pytest.raises(Unprocessable, match="output is called like the raw column 'age'"):
        imported(tmp_path, content, "m.onnx", fitted)


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ((Standardize(("age", "fare")),), "takes 8 features, but the preprocessing makes 2"),
    ],
)
def test_a_model_trained_on_other_columns_is_refused(
    tmp_path: Path, fitted: FittedPreprocessing, transforms: Any, said: str
) -> None:
    model = trained(fitted.transform(RAW)[0])
    other = Preprocessing(transforms).fit(RAW)

    with pytest.raises(Unprocessable, match=said):
        imported(tmp_path, bytes(model.get_booster().save_raw("ubj")), "m.ubj", other)


def test_a_model_whose_features_have_another_order_is_refused(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    matrix, names = fitted.transform(RAW)
    model = trained(matrix)
    booster = model.get_booster()
    booster.feature_names = [names[1], names[0], *names[2:]]

    with pytest.raises(
        Unprocessable, match="feature 0 of the model is 'when_weekday', but column 0"
    ):
        imported(tmp_path, bytes(booster.save_raw("ubj")), "m.ubj", fitted)


def test_a_model_that_onnx_cannot_serve_is_refused_with_the_reason(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    model = trained(fitted.transform(RAW)[0], booster="dart")

    with pytest.raises(Unprocessable, match="served by ONNX Runtime, which cannot serve this one"):
        imported(tmp_path, bytes(model.get_booster().save_raw("ubj")), "m.ubj", fitted)


def with_cell(name: str, row: int, value: Any) -> bytes:
    """The raw table as JSON, with one other value."""
    columns = {n: [None if v != v else v for v in v.tolist()] for n, v in RAW.items()}
    columns[name][row] = value
    return msgspec.json.encode(columns)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (with_cell("city", 5, "Bern"), "column 'city' has the category 'bern' in row 5"),
        (with_cell("fare", 7, None), "column 'fare' has a missing value in row 7"),
        (with_cell("fare", 9, "cheap"), "column 'fare' has 'cheap' .str. in row 9"),
        (with_cell("when", 3, "soon"), "column 'when' has 'soon' .str. in row 3"),
        (b'{"age": [1.0], "fare": [2.0], "city": ["Rome"]}', "lacks the column 'when'"),
        (b'{"height": [1.0]}', "has none of the columns"),
    ],
)
def test_training_data_that_the_raw_columns_refuse_names_column_and_row(
    tmp_path: Path, fitted: FittedPreprocessing, table: bytes, said: str
) -> None:
    model = trained(fitted.transform(RAW)[0])

    with pytest.raises(InvalidArgument, match=f"does not fit the preprocessing: .*{said}"):
        imported(tmp_path, bytes(model.get_booster().save_raw("ubj")), "m.ubj", fitted, table)


def test_rows_that_overflow_are_no_missing_ones(
    tmp_path: Path, fitted: FittedPreprocessing
) -> None:
    model = trained(fitted.transform(RAW)[0])
    table = with_cell("fare", 7, 1e300)

    result = imported(tmp_path, bytes(model.get_booster().save_raw("ubj")), "m.ubj", fitted, table)

    assert result.report["training_data"]["rows"] == ROWS


def test_a_csv_table_may_have_codes_of_digits_truth_values_and_odd_cells(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["zip,member,score"]
    lines += [
        f"0{rng.integers(1000, 1004)},{'True' if rng.random() < 0.5 else 'False'},{row}"
        for row in range(300)
    ]
    lines[5] = "01001,,much"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    declared = Preprocessing(
        (Impute(("member", "score")), OneHot("zip")),
        (Column("zip", "text"), Column("score", "number", wrong_type="missing")),
    )
    fitted = declared.fit(tmp_path / "t.csv")
    assert fitted.outputs[:2] == ("zip_01000", "zip_01001")
    matrix, _ = fitted.transform(
        {"zip": texts(*["01000", "01001"] * 50), "score": np.arange(100.0), "member": [True] * 100}
    )
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(matrix, matrix[:, 0])

    result = imported(
        tmp_path,
        bytes(model.get_booster().save_raw("ubj")),
        "m.ubj",
        fitted,
        (tmp_path / "t.csv").read_bytes(),
    )

    assert result.profile is not None
    features = {p.bins.name: p for p in read_profile(result.profile.read_bytes()).features}
    zips = {label for label, count in features["zip"].labelled_counts() if count}
    assert zips == {"01000", "01001", "01002", "01003"}
    assert (features["member"].n, features["member"].n_missing) == (300, 1)
    assert features["score"].n_type_error == 1
