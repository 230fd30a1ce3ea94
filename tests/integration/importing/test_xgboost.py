"""XGBoost models become servable and answer as before."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from xgboost import XGBClassifier, XGBRegressor

from augurium.core.errors import Unprocessable
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult

Packaged = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(800, 5)).astype(np.float32)
TARGET = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
HOLED = np.where(RNG.random(ROWS.shape) < 0.1, np.nan, ROWS).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_answers_labels_and_probabilities(
    import_packaged: Packaged, ask: Ask, classes: int
) -> None:
    labels = np.digitize(TARGET, [0] if classes == 2 else [-1, 1])
    model = XGBClassifier(n_estimators=20).fit(HOLED, labels)
    result = import_packaged(model)
    assert result.signature.inputs == (
        TensorSpec(
            "features", "FP32", (-1, 5), features=("f0", "f1", "f2", "f3", "f4"), nullable=True
        ),
    )
    assert result.signature.outputs == (
        TensorSpec("label", "INT64", (-1,)),
        TensorSpec("probabilities", "FP32", (-1, classes)),
    )
    found = ask(result, {"features": HOLED})
    assert (found["label"] == model.predict(HOLED)).all()
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(HOLED), atol=1e-5)


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson"])
def test_a_regressor_answers_one_number_per_row(
    import_packaged: Packaged, ask: Ask, objective: str
) -> None:
    model = XGBRegressor(n_estimators=20, objective=objective)
    model.fit(HOLED, np.exp(np.clip(TARGET, -2, 2)))
    result = import_packaged(model)
    assert result.signature.outputs == (TensorSpec("prediction", "FP32", (-1,)),)
    found = ask(result, {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], model.predict(HOLED), rtol=1e-4, atol=1e-4)


def test_a_raw_booster_that_answers_classes_serves_probabilities_too(
    import_packaged: Packaged, ask: Ask
) -> None:
    settings = {"objective": "multi:softmax", "num_class": 3}
    data = xgboost.DMatrix(ROWS, np.digitize(TARGET, [-1, 1]))
    booster = xgboost.train(settings, data, 10)
    found = ask(import_packaged(booster), {"features": ROWS})
    assert (found["label"] == booster.predict(data)).all()
    margins = booster.predict(data, output_margin=True).astype(float)
    expected = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


def test_feature_names_go_into_the_signature(import_packaged: Packaged) -> None:
    names = ("age", "income", "plan type", "x y", "f")
    frame = pd.DataFrame(ROWS, columns=list(names))
    result = import_packaged(XGBRegressor(n_estimators=3).fit(frame, TARGET), frame)
    assert result.signature.inputs[0].features == names


def test_early_stopping_serves_the_best_iteration(import_packaged: Packaged, ask: Ask) -> None:
    model = XGBRegressor(n_estimators=80, num_parallel_tree=3, early_stopping_rounds=3)
    model.fit(ROWS, TARGET, eval_set=[(ROWS[:100], RNG.normal(size=100))], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    found = ask(import_packaged(model), {"features": ROWS})
    np.testing.assert_allclose(found["prediction"], model.predict(ROWS), rtol=1e-4, atol=1e-5)


def test_few_categories_are_served_by_their_codes(import_packaged: Packaged, ask: Ask) -> None:
    codes = RNG.integers(0, 12, 800)
    frame = pd.DataFrame({"x": ROWS[:, 0], "c": pd.Categorical(codes)})
    model = XGBClassifier(n_estimators=10, enable_categorical=True)
    model.fit(frame, (TARGET > 0) ^ (codes % 3 == 0))
    result = import_packaged(model, frame)
    assert result.report["notes"] == ["send categories as their codes (0, 1, ...) in c"]
    found = ask(result, {"features": np.column_stack([ROWS[:, 0], codes]).astype(np.float32)})
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(frame), atol=1e-5)


def many_categories() -> Any:
    frame = pd.DataFrame({"c": pd.Categorical(np.arange(800) % 60)})
    model = XGBRegressor(n_estimators=3, enable_categorical=True)
    return model.fit(frame, np.sin(np.arange(800) % 60))


def ranker() -> Any:
    groups = np.arange(800) // 20
    return xgboost.XGBRanker(n_estimators=3).fit(ROWS, np.digitize(TARGET, [0]), qid=groups)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: XGBRegressor(n_estimators=3).fit(ROWS, ROWS[:, :2]), "has 2 outputs"),
        (
            lambda: XGBRegressor(n_estimators=3, multi_strategy="multi_output_tree").fit(
                ROWS, ROWS[:, :2]
            ),
            "multi_output_tree",
        ),
        (lambda: XGBRegressor(n_estimators=3, booster="dart").fit(ROWS, TARGET), "dart"),
        (lambda: XGBRegressor(n_estimators=3, booster="gblinear").fit(ROWS, TARGET), "gblinear"),
        (ranker, "rank:ndcg ranks rows against each other"),
        (many_categories, "category 'c' has 60 levels, and at most 40"),
        (
            lambda: XGBRegressor(n_estimators=3, objective="reg:logistic").fit(ROWS, TARGET > 0),
            "objective reg:logistic is not one of",
        ),
    ],
)
def test_models_that_convert_wrongly_are_refused_before_it_is_tried(
    import_packaged: Packaged, make: Callable[[], Any], says: str
) -> None:
    with pytest.raises(Unprocessable, match=says) as refused:
        import_packaged(make())
    assert "needs an engine that is not part of this release" in str(refused.value)
