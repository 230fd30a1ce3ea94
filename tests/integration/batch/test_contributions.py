"""What features contributed, by the libraries that trained the models."""

from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost

from augurium.batch.explanations import Explainer, load_contributions
from augurium.batch.model_files import ModelFiles
from augurium.batch.native_file import write_native
from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

FEATURES = ("age", "income", "debt")
ROWS = np.random.default_rng(1).standard_normal((300, 3)).astype(np.float32)
CLASSES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)


def explainer(runtime: str, source: Path, folder: Path) -> Explainer:
    path, options = write_native(runtime, source, folder)
    files = ModelFiles(runtime=runtime, path=str(path), options=options)
    return Explainer(load_contributions(files), FEATURES)


def sums(explained: Explainer) -> Array:
    """Per row and score, all that was contributed."""
    columns = explained.columns(ROWS).values()
    found: Array = np.sum([np.array(column.to_pylist()) for column in columns], axis=0)
    return found


def test_there_is_a_column_for_each_feature_and_one_for_the_rest(tmp_path: Path) -> None:
    model = xgboost.train({}, xgboost.DMatrix(ROWS, label=ROWS[:, 0]), 3)
    model.save_model(tmp_path / "source.json")

    explained = explainer("xgboost", tmp_path / "source.json", tmp_path)

    assert [field.name for field in explained.fields] == [
        "contribution_age",
        "contribution_income",
        "contribution_debt",
        "contribution_base",
    ]
    assert list(explained.columns(ROWS)) == [field.name for field in explained.fields]


def test_those_of_several_classes_add_up_to_the_score_of_each(tmp_path: Path) -> None:
    settings = {"objective": "multi:softprob", "num_class": 3}
    model = xgboost.train(settings, xgboost.DMatrix(ROWS, label=CLASSES), 5)
    model.save_model(tmp_path / "source.ubj")

    found = sums(explainer("xgboost", tmp_path / "source.ubj", tmp_path))

    expected = model.predict(xgboost.DMatrix(ROWS), output_margin=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_those_of_lightgbm_add_up_to_its_raw_scores(tmp_path: Path, classes: int) -> None:
    settings = (
        {"objective": "multiclass", "num_class": 3} if classes == 3 else {"objective": "binary"}
    )
    data = lightgbm.Dataset(ROWS, np.minimum(CLASSES, classes - 1))
    model = lightgbm.train({**settings, "verbose": -1}, data, 5)
    model.save_model(tmp_path / "source.txt")

    found = sums(explainer("lightgbm", tmp_path / "source.txt", tmp_path))

    np.testing.assert_allclose(found, model.predict(ROWS, raw_score=True), rtol=1e-4, atol=1e-4)


def test_other_runtimes_tell_none(tmp_path: Path) -> None:
    files = ModelFiles(runtime="onnx", path=str(tmp_path / "m.onnx"), options={})

    with pytest.raises(InvalidArgument, match="expected xgboost or lightgbm"):
        load_contributions(files)
