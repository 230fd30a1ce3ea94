"""Models in memory as files a server takes."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import onnx.helper as oh
import pandas as pd
import pytest
import skops.io
import torch
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from augurium.client.packaging import package
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.importing.formats import Format, detect
from tests.support import keras_models

ROWS = np.random.default_rng(0).normal(size=(60, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)


def test_a_fitted_estimator_becomes_a_skops_file(tmp_path: Path) -> None:
    packaged = package(LogisticRegression().fit(ROWS, LABELS))
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=False) == Format.SKOPS
    assert (packaged.framework, packaged.filename) == ("sklearn", "model.skops")
    np.testing.assert_array_equal(
        skops.io.loads(packaged.content).predict(ROWS),
        LogisticRegression().fit(ROWS, LABELS).predict(ROWS),
    )


def test_of_a_search_only_the_best_estimator_is_taken() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}).fit(ROWS, LABELS)
    assert skops.io.get_untrusted_types(data=package(search).content) == []


@pytest.mark.parametrize("as_booster", [False, True])
def test_an_xgboost_model_becomes_ubjson(tmp_path: Path, as_booster: bool) -> None:
    model = xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS)
    packaged = package(model.get_booster() if as_booster else model)
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=False) == Format.XGBOOST_UBJ
    assert (packaged.framework, packaged.framework_version) == ("xgboost", xgboost.__version__)


def test_an_xgboost_model_with_its_own_missing_value_is_refused() -> None:
    model = xgboost.XGBClassifier(n_estimators=2, missing=-999).fit(ROWS, LABELS)
    with pytest.raises(Unprocessable, match="-999 for a missing value, which its file does not"):
        package(model)


def test_an_onnx_model_becomes_its_bytes() -> None:
    kind = oh.make_tensor_value_info("x", 1, ["n", 1])
    other = oh.make_tensor_value_info("y", 1, ["n", 1])
    model = oh.make_model(
        oh.make_graph([oh.make_node("Identity", ["x"], ["y"])], "g", [kind], [other])
    )
    packaged = package(model)
    assert (packaged.content, packaged.framework) == (model.SerializeToString(), "onnx")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "my.ubj").write_bytes(b"content")
    packaged = package(tmp_path / "my.ubj")
    assert (packaged.filename, packaged.content, packaged.framework) == ("my.ubj", b"content", None)
    with pytest.raises(InvalidArgument, match="does not exist"):
        package(str(tmp_path / "other.ubj"))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (object(), "object cannot be registered; expected a fitted scikit-learn"),
        (LogisticRegression(), "not fitted"),
        (xgboost.XGBClassifier(), "not fitted"),
    ],
)
def test_what_cannot_be_served_is_refused(model: object, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        package(model)


def test_categories_go_along_as_the_codes_xgboost_learned_from() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["u", "v", None, "u"]), "x": [1.0, 2.0, 3.0, 4.0]})
    model = xgboost.XGBClassifier(n_estimators=1, enable_categorical=True).fit(frame, [0, 1, 0, 1])
    table = package(model, frame).table
    assert table is not None
    assert json.loads(table)["columns"][0]["values"] == [0, 1, None, 0]


def test_a_lightgbm_model_becomes_its_text(tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(ROWS, LABELS)
    packaged = package(model)
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=False) == Format.LIGHTGBM
    assert packaged.content == package(model.booster_).content


def test_labels_of_a_lightgbm_model_go_along_behind_its_text() -> None:
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(ROWS, LABELS + 1)
    assert package(model).content.endswith(b"\naugurium_classes:[1,2]\n")


def test_a_module_becomes_a_program_and_stays_as_it_was(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout()).train()
    packaged = package(module, example_inputs=ROWS[:4])
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=False) == Format.PT2
    assert (packaged.framework, packaged.filename) == ("torch", "model.pt2")
    assert module.training


def test_an_exported_program_is_saved_as_it_is(tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.Linear(3, 2), (torch.randn(4, 3),))
    (tmp_path / "m").write_bytes(package(program).content)
    assert detect(tmp_path / "m", "m", allow_code=False) == Format.PT2


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (None, "needs to see inputs to be exported; expected example_inputs="),
        (object(), "is no tensor"),
        (pd.DataFrame({"a": ["x"]}), "columns that are not numbers"),
    ],
)
def test_example_inputs_that_do_not_fit_are_refused(inputs: object, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        package(torch.nn.Linear(3, 2), example_inputs=inputs)


def test_a_module_that_does_not_take_its_inputs_is_refused() -> None:
    with pytest.raises(Unprocessable, match=r"cannot export this Linear: RuntimeError"):
        package(torch.nn.Linear(3, 2), example_inputs=torch.randn(2, 7))


def test_a_keras_model_becomes_a_keras_file(tmp_path: Path) -> None:
    packaged = package(keras_models.classifier())
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=False) == Format.KERAS


def test_a_function_becomes_a_pickle_that_needs_permission(tmp_path: Path) -> None:
    packaged = package(lambda columns: columns["a"])
    (tmp_path / "m").write_bytes(packaged.content)
    assert detect(tmp_path / "m", packaged.filename, allow_code=True) == Format.PYTHON
    with pytest.raises(Unprocessable, match="runs code"):
        detect(tmp_path / "m", packaged.filename, allow_code=False)
