"""Runtimes of trees and of scikit-learn: loaded as an engine or a runner loads them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest
import skops.io
import treelite
import xgboost
from sklearn.linear_model import LogisticRegression

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.runtimes.runtime import LoadedModel, load
from augurium.runtimes.sklearn_rows import RowColumn, RowLayout

RNG = np.random.default_rng(11)
ROWS = RNG.normal(size=(400, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)
BINARY = {"answers": "binary"}
NAMED = {"answers": "binary", "classes": '["no", "yes"]'}
SKLEARN = {
    "format": "skops",
    "rows": msgspec.json.encode(
        RowLayout(tuple(RowColumn(name) for name in "abc"), is_matrix=True)
    ).decode(),
}


def save_xgboost(folder: Path) -> Path:
    xgboost.XGBClassifier(n_estimators=10).fit(ROWS, LABELS).save_model(folder / "model.ubj")
    return folder / "model.ubj"


def save_treelite(folder: Path) -> Path:
    model = treelite.frontend.load_xgboost_model(save_xgboost(folder), format_choice="ubjson")
    model.serialize(folder / "model.treelite")
    return folder / "model.treelite"


def save_lightgbm(folder: Path) -> Path:
    model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(ROWS, LABELS)
    model.booster_.save_model(folder / "model.txt")
    return folder / "model.txt"


def save_sklearn(folder: Path) -> Path:
    skops.io.dump(LogisticRegression().fit(ROWS, LABELS), folder / "model.skops")
    return folder / "model.skops"


RUNTIMES = {
    "xgboost": (save_xgboost, BINARY),
    "treelite": (save_treelite, BINARY),
    "lightgbm": (save_lightgbm, BINARY),
    "sklearn": (save_sklearn, SKLEARN),
}


def loaded(runtime: str, folder: Path) -> LoadedModel:
    save, options = RUNTIMES[runtime]
    return load(runtime, save(folder), options)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_outputs_come_in_the_order_asked_for_and_typed_as_the_signature(
    runtime: str, tmp_path: Path
) -> None:
    model = loaded(runtime, tmp_path)
    label, probabilities = model.run({"features": ROWS})
    assert label.dtype == np.int64
    assert label.shape == (400,)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (400, 2)
    (again,) = model.run({"features": ROWS}, ["probabilities"])
    np.testing.assert_array_equal(again, probabilities)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_many_threads_get_the_answers_of_one(runtime: str, tmp_path: Path) -> None:
    model = loaded(runtime, tmp_path)
    parts = [ROWS[start : start + 7] for start in range(0, 280, 7)]
    alone = [model.run({"features": part})[1] for part in parts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda part: model.run({"features": part})[1], parts * 5))
    for found, expected in zip(together, alone * 5, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_rows_of_another_width_are_a_failure_of_the_model(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed):
        loaded(runtime, tmp_path).run({"features": ROWS[:, :2]})


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_output_that_does_not_exist_is_named(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="output 'score' does not exist; expected label"):
        loaded(runtime, tmp_path).run({"features": ROWS}, ["score"])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_cannot_be_loaded_says_which(runtime: str, tmp_path: Path) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(b"this is no model")
    with pytest.raises(ModelFailed, match="cannot load damaged"):
        load(runtime, file, RUNTIMES[runtime][1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_option_that_is_not_known_is_refused(runtime: str, tmp_path: Path) -> None:
    save, options = RUNTIMES[runtime]
    with pytest.raises(InvalidArgument, match="speed"):
        load(runtime, save(tmp_path), {**options, "speed": "11"})


def test_classes_name_the_labels(tmp_path: Path) -> None:
    found: Any = load("lightgbm", save_lightgbm(tmp_path), NAMED).run({"features": ROWS})
    assert set(found[0]) == {"no", "yes"}
    assert ((found[0] == "yes") == (found[1][:, 1] > 0.5)).all()


def test_a_meaning_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="answers=riddles is not one of binary, multiclass"):
        load("xgboost", save_xgboost(tmp_path), {"answers": "riddles"})


def test_a_runtime_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="runtime 'catboost' is not known here"):
        load("catboost", tmp_path, {})


def test_only_onnx_takes_external_weights(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="runtime 'xgboost' takes no external weights"):
        load("xgboost", save_xgboost(tmp_path), BINARY, tmp_path / "weights")
