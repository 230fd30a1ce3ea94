"""Models in memory as files a server takes."""

import json
from pathlib import Path

import numpy as np
import onnx.helper as oh
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from augurium.client.packaging import package
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.importing.formats import Format, detect

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
