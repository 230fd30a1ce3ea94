"""XGBoost models become servable and answer as before."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from xgboost import XGBClassifier, XGBRegressor

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult

Packaged = Callable[..., ImportResult]
Import = Callable[..., ImportResult]
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


@pytest.mark.parametrize(
    "objective", ["reg:squarederror", "count:poisson", "reg:tweedie", "reg:gamma"]
)
def test_a_regressor_answers_one_number_per_row(
    import_packaged: Packaged, ask: Ask, objective: str
) -> None:
    model = XGBRegressor(n_estimators=20, objective=objective)
    model.fit(HOLED, np.exp(np.clip(TARGET, -2, 2)))
    result = import_packaged(model)
    assert result.signature.outputs == (TensorSpec("prediction", "FP32", (-1,)),)
    assert result.runtime == "onnx"
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


def test_feature_names_go_into_the_signature(import_packaged: Packaged, ask: Ask) -> None:
    names = ("age", "income", "plan type", "x y", "f")
    frame = pd.DataFrame(ROWS, columns=list(names))
    model = XGBRegressor(n_estimators=3).fit(frame, TARGET)
    result = import_packaged(model, frame)
    assert result.runtime == "onnx"
    assert result.signature.inputs[0].features == names
    found = ask(result, {"features": ROWS})
    np.testing.assert_allclose(found["prediction"], model.predict(frame), rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("one_hot_below", [1, 64], ids=["partitions", "one-hot"])
def test_missing_and_unseen_codes_of_few_categories_are_answered_as_before(
    import_packaged: Packaged, ask: Ask, one_hot_below: int
) -> None:
    codes = np.arange(800) % 12
    frame = pd.DataFrame({"x": ROWS[:, 0], "c": pd.Categorical(codes)})
    model = XGBClassifier(
        n_estimators=10, enable_categorical=True, max_cat_to_onehot=one_hot_below
    ).fit(frame, TARGET + np.sin(codes) > 0)
    result = import_packaged(model, frame)
    assert result.runtime == "onnx"
    rows = np.array([[0.5, code] for code in (np.nan, 12, 99, -1, 3)], np.float32)
    expected = model.get_booster().inplace_predict(rows, validate_features=False)
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["probabilities"][:, 1], expected, atol=1e-5)


def several_outputs(**settings: Any) -> Any:
    return XGBRegressor(n_estimators=10, **settings).fit(HOLED, ROWS[:, :2] * 100)


def several_labels() -> Any:
    return XGBClassifier(n_estimators=10).fit(HOLED, (ROWS[:, :2] > 0).astype(int))


def quantiles() -> Any:
    model = XGBRegressor(n_estimators=10, objective="reg:quantileerror", quantile_alpha=[0.1, 0.9])
    return model.fit(HOLED, TARGET)


def ranker() -> Any:
    groups = np.arange(800) // 20
    return xgboost.XGBRanker(n_estimators=10).fit(HOLED, np.digitize(TARGET, [0]), qid=groups)


class RawRanker:
    """A ranker as a plain booster, which tells nobody that it ranks."""

    def __init__(self, objective: str) -> None:
        data = xgboost.DMatrix(HOLED, np.digitize(TARGET, [0]), qid=np.arange(800) // 20)
        self.raw = xgboost.train({"objective": objective}, data, 10)

    def predict(self, rows: Any) -> Any:
        return self.raw.predict(xgboost.DMatrix(rows))


def dart(**settings: Any) -> Any:
    model = XGBRegressor(n_estimators=10, booster="dart", rate_drop=0.5, **settings)
    return model.fit(HOLED, TARGET)


def chance() -> Any:
    return XGBRegressor(n_estimators=5, objective="reg:logistic").fit(HOLED, TARGET > 0)


def survival() -> Any:
    return XGBRegressor(n_estimators=5, objective="survival:cox").fit(HOLED, TARGET)


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (several_outputs, "refused: it has 2 outputs, and .* silently wrong"),
        (quantiles, "refused: it has 2 outputs"),
        (
            lambda: several_outputs(multi_strategy="multi_output_tree"),
            "refused: multi_output_tree keeps several outputs in one leaf",
        ),
        (ranker, "refused: objective rank:ndcg ranks rows against each other"),
        (lambda: RawRanker("rank:pairwise"), "refused: objective rank:pairwise ranks rows"),
        (lambda: RawRanker("rank:map"), "refused: objective rank:map ranks rows"),
        (dart, "unsupported: booster dart weighs its trees"),
        (chance, "unsupported: the converter does not know objective reg:logistic"),
        (survival, "unsupported: the converter does not know objective survival:cox"),
    ],
)
def test_what_converts_wrongly_to_onnx_never_gets_there_and_is_served_by_treelite(
    import_packaged: Packaged, ask: Ask, make: Callable[[], Any], outcome: str
) -> None:
    model = make()
    result = import_packaged(getattr(model, "raw", model))
    assert result.runtime == "treelite"
    assert re.match(outcome, result.report["engines"]["onnx"]["outcome"])
    assert result.report["engines"]["xgboost"]["outcome"] == "ok"
    expected = model.predict(HOLED)
    assert result.signature.outputs[0].shape == (-1, *expected.shape[1:])
    found = ask(result, {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-3, atol=1e-4)


def test_a_model_of_several_labels_answers_all_of_them(import_packaged: Packaged, ask: Ask) -> None:
    model = several_labels()
    result = import_packaged(model)
    assert result.runtime == "treelite"
    found = ask(result, {"features": HOLED})
    assert (found["label"] == model.predict(HOLED)).all()
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(HOLED), atol=1e-5)


def test_a_linear_regressor_is_served_by_xgboost_itself(
    import_packaged: Packaged, ask: Ask
) -> None:
    model = XGBRegressor(n_estimators=10, booster="gblinear").fit(ROWS, TARGET)
    result = import_packaged(model)
    assert result.runtime == "xgboost"
    for engine in ("onnx", "treelite"):
        said = result.report["engines"][engine]["outcome"]
        assert said == "unsupported: booster gblinear is not made of trees"
    found = ask(result, {"features": ROWS})
    np.testing.assert_allclose(found["prediction"], model.predict(ROWS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_booster_is_served_by_xgboost_itself(
    import_packaged: Packaged, ask: Ask, classes: int
) -> None:
    model = XGBClassifier(n_estimators=10, booster="gblinear")
    model.fit(ROWS, np.digitize(TARGET, [0] if classes == 2 else [-1, 1]))
    result = import_packaged(model)
    assert result.runtime == "xgboost"
    found = ask(result, {"features": ROWS})
    assert (found["label"] == model.predict(ROWS)).all()
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(ROWS), atol=1e-6)


# converted to ONNX, 100 levels took half a minute, and 200 did not end in ten
@pytest.mark.parametrize(("levels", "trees"), [(60, 20), (200, 50)])
def test_categories_of_many_levels_are_served_by_treelite(
    import_packaged: Packaged, ask: Ask, levels: int, trees: int
) -> None:
    codes = np.arange(4 * levels) % levels
    frame = pd.DataFrame({"c": pd.Categorical(codes)})
    model = XGBRegressor(n_estimators=trees, enable_categorical=True).fit(frame, np.sin(codes))
    result = import_packaged(model, frame)
    assert result.runtime == "treelite"
    assert f"category 'c' has {levels} levels" in result.report["engines"]["onnx"]["outcome"]
    rows = np.array([*range(levels), np.nan, levels, 999, -1], np.float32).reshape(-1, 1)
    expected = model.get_booster().inplace_predict(rows, validate_features=False)
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["treelite", "xgboost", "native"])
@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
def test_an_engine_that_passes_parity_may_be_asked_for(
    import_packaged: Packaged, ask: Ask, engine: str, objective: str
) -> None:
    labels = np.digitize(TARGET, [0] if objective.startswith("binary") else [-1, 1])
    model = XGBClassifier(n_estimators=10, objective=objective).fit(HOLED, labels)
    result = import_packaged(model, engine=engine)
    assert result.runtime == {"native": "xgboost"}.get(engine, engine)
    assert result.report["chosen_because"] == f"engine {engine} was asked for"
    found = ask(result, {"features": HOLED})
    assert (found["label"] == model.predict(HOLED)).all()
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(HOLED), atol=1e-5)


def test_an_engine_that_is_known_to_be_wrong_cannot_be_asked_for(
    import_packaged: Packaged,
) -> None:
    with pytest.raises(Unprocessable, match=r"no engine can .*onnx: refused: it has 2 outputs"):
        import_packaged(several_outputs(), engine="onnx")


def test_an_engine_must_exist(import_packaged: Packaged) -> None:
    with pytest.raises(InvalidArgument, match="engine 'tensorrt' is not known; expected native or"):
        import_packaged(ranker(), engine="tensorrt")


def test_an_engine_of_another_framework_is_refused(import_packaged: Packaged) -> None:
    with pytest.raises(Unprocessable, match="lightgbm cannot serve such a file; expected one of"):
        import_packaged(ranker(), engine="lightgbm")


def test_an_objective_of_the_owners_own_is_refused(import_content: Import) -> None:
    model = XGBRegressor(n_estimators=3).fit(ROWS, TARGET)
    content = bytes(model.get_booster().save_raw("json"))
    with pytest.raises(Unprocessable, match="objective 'mine' is not one of XGBoost's own"):
        import_content(content.replace(b'"name":"reg:squarederror"', b'"name":"mine"'))
