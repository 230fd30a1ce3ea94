"""Folders written by MLflow itself become servable, each by the converter of what is in it."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pandas as pd
import pytest
import torch
import xgboost
from sklearn.linear_model import LogisticRegression

from augurium.core.errors import Unprocessable
from augurium.core.settings import ImportSettings
from augurium.importing.mlflow_folder import read_mlflow_model
from augurium.importing.result import ImportResult
from tests.support import keras_models as km
from tests.support.torch_models import ByRow, made

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.sklearn

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

TRUSTING = ImportSettings(allow_code=True, timeout_s=600)
FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["age", "tax", "sum"])
LABELS = (FRAME.age > 0).astype(int)
REQUIREMENTS = ["numpy"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """MLflow warns of things to come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logged"


def fitted() -> Any:
    return LogisticRegression().fit(FRAME, LABELS)


def signature() -> Any:
    return mlflow.models.infer_signature(FRAME, LABELS)


def save_sklearn(folder: Path, **how: Any) -> None:
    how = {"serialization_format": "skops", "signature": signature(), **how}
    mlflow.sklearn.save_model(fitted(), folder, pip_requirements=REQUIREMENTS, **how)


@pytest.fixture(scope="module")
def linear(import_once: Import, tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    """A scikit-learn model with a signature and an input example."""
    folder = tmp_path_factory.mktemp("linear") / "logged"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_sklearn(folder, input_example=FRAME.head(3))
    return import_once(km.packed(folder), "model.tar", framework="mlflow")


def test_a_scikit_learn_model_keeps_the_names_of_its_columns(
    linear: ImportResult, ask: Ask
) -> None:
    assert (linear.framework, linear.runtime, linear.allowed_code) == ("sklearn", "onnx", False)
    assert linear.signature.inputs[0].features == ("age", "tax", "sum")
    rows = FRAME.to_numpy(np.float32)
    np.testing.assert_array_equal(ask(linear, {"features": rows})["label"], fitted().predict(FRAME))


def test_what_mlflow_says_about_itself_is_in_the_report(linear: ImportResult) -> None:
    assert linear.report["versions"]["mlflow"] == mlflow.__version__
    assert any("from MLflow: model" in note for note in linear.report["notes"])


def test_the_input_example_checks_the_import_and_is_shown(linear: ImportResult) -> None:
    assert any("like those of MLflow's input example" in note for note in linear.report["notes"])
    assert linear.report["parity"]["rows"] > 256
    shown = pd.DataFrame(list(linear.examples))
    assert sorted(shown.age) == pytest.approx(sorted(FRAME.age.head(3)))
    assert list(shown) == ["age", "tax", "sum"]


def test_a_few_rows_are_no_reference_profile(linear: ImportResult) -> None:
    assert linear.profile is None


def test_an_xgboost_model_takes_its_names_from_the_signature_though_its_example_does_not_fit(
    import_content: Import, ask: Ask, folder: Path
) -> None:
    model = xgboost.XGBClassifier(n_estimators=3).fit(FRAME.to_numpy(), LABELS)
    mlflow.xgboost.save_model(
        model,
        folder,
        signature=signature(),
        input_example=FRAME.head(3),
        pip_requirements=REQUIREMENTS,
    )
    (folder / "input_example.json").write_text('{"columns": ["other"], "data": [[1.5]]}')
    result = import_content(km.packed(folder), "model.tar")
    assert result.framework == "xgboost"
    assert any("input example was not used" in note for note in result.report["notes"])
    assert result.examples == ()
    assert result.signature.inputs[0].features == ("age", "tax", "sum")
    found = ask(result, {result.signature.inputs[0].name: FRAME.to_numpy(np.float32)})
    np.testing.assert_allclose(
        found["probabilities"], model.predict_proba(FRAME.to_numpy()), atol=1e-5
    )


def test_a_lightgbm_booster_is_imported(import_content: Import, folder: Path) -> None:
    import lightgbm

    data = lightgbm.Dataset(FRAME.to_numpy(), LABELS)
    model = lightgbm.train({"objective": "binary", "verbose": -1}, data, 3)
    mlflow.lightgbm.save_model(model, folder, pip_requirements=REQUIREMENTS)
    assert import_content(km.packed(folder), "model.tar").framework == "lightgbm"


def test_an_onnx_model_is_imported(import_content: Import, folder: Path) -> None:
    kind = oh.make_tensor_value_info("x", 1, ["n", 3])
    other = oh.make_tensor_value_info("y", 1, ["n", 3])
    node = oh.make_node("Identity", ["x"], ["y"])
    graph = oh.make_graph([node], "g", [kind], [other])
    opsets = [oh.make_opsetid("", 17)]
    onnx_model = oh.make_model(graph, opset_imports=opsets, ir_version=8)
    mlflow.onnx.save_model(onnx_model, folder, pip_requirements=REQUIREMENTS)
    result = import_content(km.packed(folder), "model.tar")
    assert (result.framework, result.signature.inputs[0].name) == ("onnx", "x")
    assert onnx.load(result.servable).graph.name == "g"


def test_a_pytorch_program_is_imported(import_content: Import, folder: Path) -> None:
    mlflow.pytorch.save_model(
        made(ByRow),
        folder,
        serialization_format="pt2",
        input_example=torch.randn(4, 8).numpy(),
        signature=mlflow.models.infer_signature(np.zeros((4, 8), np.float32)),
        pip_requirements=REQUIREMENTS,
    )
    result = import_content(km.packed(folder), "model.tar")
    assert (result.framework, result.runtime) == ("torch", "onnx")
    assert any("like those of MLflow's input example" in note for note in result.report["notes"])
    # rows without names leave none
    assert result.signature.inputs[0].features == ()


def test_a_keras_model_is_imported(import_content: Import, folder: Path) -> None:
    mlflow.tensorflow.save_model(km.classifier(), folder, pip_requirements=REQUIREMENTS)
    result = import_content(km.packed(folder), "model.tar")
    assert (result.framework, result.runtime) == ("keras", "onnx")


def test_a_pickled_model_is_refused_with_the_way_out(import_content: Import, folder: Path) -> None:
    save_sklearn(folder, serialization_format="cloudpickle")
    with pytest.raises(Unprocessable, match=r"runs code.*serialization_format='skops'"):
        import_content(km.packed(folder), "model.tar")


def test_a_pickled_model_is_imported_where_code_is_allowed(
    import_content: Import, folder: Path
) -> None:
    save_sklearn(folder, serialization_format="cloudpickle")
    result = import_content(km.packed(folder), "model.tar", limits=TRUSTING)
    assert (result.framework, result.allowed_code) == ("sklearn", True)


def test_a_model_of_python_only_is_refused_with_what_to_do(
    import_content: Import, folder: Path
) -> None:
    class Own(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: list[str], params: Any = None) -> list[str]:
            return model_input

    mlflow.pyfunc.save_model(folder, python_model=Own(), pip_requirements=REQUIREMENTS)
    with pytest.raises(Unprocessable, match=r"only the flavor python_function.*its own flavor"):
        import_content(km.packed(folder), "model.tar")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flavors: &f {sklearn: {pickled_model: m}}\nother: *f", "YAML references"),
        ("flavors: {}\nflavors: {}", "flavors twice"),
        ("flavors: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("flavors: [", "cannot be read"),
        ("7", "not a list of settings"),
        ("flavors: {}", "names no flavors"),
        ("flavors: {spark: {}}", "expected one of onnx, sklearn"),
        ("flavors: {sklearn: {pickled_model: ../../../etc/passwd}}", "not in its folder"),
        ("flavors: {sklearn: {pickled_model: /etc/passwd}}", "not in its folder"),
        ("flavors: {sklearn: {pickled_model: model.skops}}", "which is not there"),
        (
            "flavors: {onnx: {data: MLmodel}}\n"
            "saved_input_example_info: {artifact_path: ../../etc/passwd}",
            "not in its folder",
        ),
        ("x: " + "y" * 2_000_000, "larger than 1048576 bytes"),
    ],
)
def test_an_mlmodel_file_that_cannot_be_trusted_is_refused(
    folder: Path, text: str, says: str
) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text(text)
    with pytest.raises(Unprocessable, match=says):
        read_mlflow_model(folder)


def test_what_is_wrong_with_an_mlmodel_file_is_said(import_content: Import, folder: Path) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    with pytest.raises(Unprocessable, match="names no flavors; log the model again"):
        import_content(km.packed(folder), "model.tar")
