"""scikit-learn models that ONNX cannot do, or gets wrong: served by treelite or scikit-learn."""

import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from xgboost import XGBRegressor

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportResult
from augurium.runtimes.runtime import load

Packaged = Callable[..., ImportResult]
Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

ALLOWING = ImportSettings(allow_code=True, timeout_s=600)
RNG = np.random.default_rng(10)
ROWS = RNG.normal(size=(600, 4)).astype(np.float32)
TARGET = ROWS[:, 0] * 2 + ROWS[:, 1] * ROWS[:, 2]
HOLED = np.where(RNG.random(ROWS.shape) < 0.1, np.nan, ROWS).astype(np.float32)
CITIES = RNG.choice(["Oslo", "Rome", "Lima", "Bonn", "Ulm", "Nice"], 600, p=[0.4, 0.4, *[0.05] * 4])
FRAME = pd.DataFrame({"age": np.round(ROWS[:, 0], 2), "city": CITIES, "unused": ROWS[:, 3]})


def infrequent() -> tuple[Any, Any]:
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=60)
    columns = make_column_transformer((StandardScaler(), ["age"]), (encoder, ["city"]))
    model = make_pipeline(columns, LogisticRegression())
    return model.fit(FRAME, np.where(TARGET > 0, "yes", "no")), FRAME


def with_indicator() -> tuple[Any, Any]:
    model = make_pipeline(SimpleImputer(add_indicator=True), Ridge())
    return model.fit(HOLED, TARGET), HOLED


def own_math() -> tuple[Any, Any]:
    model = make_pipeline(FunctionTransformer(np.log1p), Ridge())
    return model.fit(np.abs(ROWS), TARGET), np.abs(ROWS)


def quantiles() -> tuple[Any, Any]:
    model = make_pipeline(QuantileTransformer(n_quantiles=300), Ridge())
    return model.fit(ROWS, TARGET), ROWS


def linear_trees() -> tuple[Any, Any]:
    boosting = LGBMRegressor(n_estimators=10, linear_tree=True, verbose=-1, n_jobs=1)
    return make_pipeline(StandardScaler(), boosting).fit(ROWS, TARGET), ROWS


def zero_as_missing() -> tuple[Any, Any]:
    rows = np.where(RNG.random(ROWS.shape) < 0.2, 0, ROWS).astype(np.float32)
    boosting = LGBMRegressor(n_estimators=10, zero_as_missing=True, verbose=-1, n_jobs=1)
    return make_pipeline(SimpleImputer(), boosting).fit(rows, TARGET), rows


def dart() -> tuple[Any, Any]:
    boosting = XGBRegressor(n_estimators=5, booster="dart", rate_drop=0.5)
    return make_pipeline(StandardScaler(), boosting).fit(ROWS, TARGET), ROWS


def linear_boosting() -> tuple[Any, Any]:
    boosting = XGBRegressor(n_estimators=5, booster="gblinear")
    return make_pipeline(StandardScaler(), boosting).fit(ROWS, TARGET), ROWS


def target_of_classes() -> tuple[Any, Any]:
    columns = make_column_transformer((TargetEncoder(), ["city"]), ("passthrough", ["age"]))
    return make_pipeline(columns, LogisticRegression()).fit(
        FRAME, np.digitize(TARGET, [-1, 1])
    ), FRAME


def several_outputs() -> tuple[Any, Any]:
    model = make_pipeline(StandardScaler(), XGBRegressor(n_estimators=5))
    return model.fit(ROWS, ROWS[:, :2]), ROWS


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (infrequent, "refused: grouping of infrequent categories fails in ONNX at the first"),
        (with_indicator, "refused: the converter forgets the indicators of missing values"),
        (own_math, "unsupported: skl2onnx 1"),
        (quantiles, "unsupported: converting a QuantileTransformer ends for 40 quantiles"),
        (linear_trees, "refused: linear_tree"),
        (zero_as_missing, "refused: zero_as_missing"),
        (dart, "unsupported: booster dart weighs its trees"),
        (linear_boosting, "unsupported: booster gblinear is not made of trees"),
        (target_of_classes, "unsupported: skl2onnx 1"),
        (several_outputs, "refused: it has 2 outputs"),
    ],
)
def test_what_does_not_convert_is_served_by_scikit_learn_itself(
    import_packaged: Packaged, ask: Ask, make: Callable[[], Any], outcome: str
) -> None:
    model, rows = make()
    result = import_packaged(model, pd.DataFrame(rows).rename(columns=str))
    assert result.runtime == "sklearn"
    assert not result.allowed_code
    assert result.report["engines"]["onnx"]["outcome"].startswith(outcome)
    found = ask(result, as_inputs(result, rows))
    # numbers reach the model in double precision, whatever they came in
    rows = rows if isinstance(rows, pd.DataFrame) else rows.astype(np.float64)
    expected = model.predict(rows)
    if "label" in found:
        assert found["label"].tolist() == expected.tolist()
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(rows), atol=1e-6)
    else:
        np.testing.assert_allclose(found["prediction"], expected, rtol=1e-4, atol=1e-5)


def as_inputs(result: ImportResult, rows: Any) -> dict[str, Any]:
    if len(result.signature.inputs) == 1:
        return {"features": np.asarray(rows, np.float32)}
    return {
        spec.name: rows[[spec.name]].to_numpy(object if spec.datatype == "BYTES" else np.float32)
        for spec in result.signature.inputs
    }


def test_an_unseen_and_a_missing_category_are_answered_as_scikit_learn_does(
    import_packaged: Packaged, ask: Ask
) -> None:
    model, frame = infrequent()
    result = import_packaged(model, frame)
    strange = FRAME.head(3).assign(city=["Atlantis", "Ulm", None])
    inputs = as_inputs(result, strange.fillna({"city": "__NA__"}))
    np.testing.assert_allclose(
        ask(result, inputs)["probabilities"], model.predict_proba(strange), atol=1e-6
    )


def test_a_column_the_model_drops_is_not_asked_for_by_any_engine(
    import_packaged: Packaged,
) -> None:
    columns = ColumnTransformer(
        [
            ("age", StandardScaler(), ["age"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(FRAME, TARGET > 0)
    result = import_packaged(model, FRAME)
    assert result.runtime == "onnx"
    assert [spec.name for spec in result.signature.inputs] == ["age", "city"]
    native = next(iter(result.servable.parent.glob("model.skops")))
    options = json.loads((result.servable.parent / "report.json").read_bytes())
    candidate = next(c for c in options["candidates"] if c["runtime"] == "sklearn")
    answers = load("sklearn", native, candidate["options"]).run(as_inputs(result, FRAME))
    np.testing.assert_allclose(answers[1], model.predict_proba(FRAME), atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(10, random_state=0).fit(HOLED, np.digitize(TARGET, [-1, 1])),
        RandomForestRegressor(10, random_state=0).fit(HOLED, ROWS[:, :2]),
        GradientBoostingClassifier(n_estimators=10).fit(ROWS, np.where(TARGET > 0, "b", "a")),
        HistGradientBoostingClassifier(max_iter=10).fit(HOLED, np.digitize(TARGET, [-1, 1])),
        HistGradientBoostingRegressor(max_iter=10, loss="poisson").fit(HOLED, np.exp(TARGET / 4)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_ensembles_of_trees_may_be_served_by_treelite(
    import_packaged: Packaged, ask: Ask, model: Any
) -> None:
    result = import_packaged(model, engine="treelite")
    assert result.runtime == "treelite"
    rows = ROWS if isinstance(model, GradientBoostingClassifier) else HOLED
    found = ask(result, {"features": rows})
    if "label" in found:
        assert found["label"].tolist() == model.predict(rows).tolist()
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(rows), atol=1e-6)
    else:
        np.testing.assert_allclose(found["prediction"], model.predict(rows), rtol=1e-5, atol=1e-6)


def test_histogram_boosting_with_a_logarithmic_link_is_served_by_treelite(
    import_packaged: Packaged, ask: Ask
) -> None:
    model = HistGradientBoostingRegressor(max_iter=10, loss="gamma").fit(HOLED, np.exp(TARGET / 4))
    result = import_packaged(model)
    assert result.runtime == "treelite"
    assert result.report["engines"]["onnx"]["outcome"].startswith("mismatch: ")
    found = ask(result, {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], model.predict(HOLED), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ["xgboost", "lightgbm"])
def test_an_engine_of_another_framework_is_refused_with_what_to_ask_for(
    import_packaged: Packaged, engine: str
) -> None:
    model = RandomForestClassifier(3).fit(ROWS, TARGET > 0)
    with pytest.raises(Unprocessable, match=f"engine {engine} cannot serve this sklearn model; "):
        import_packaged(model, engine=engine)


@pytest.mark.parametrize(
    ("make", "engine", "says"),
    [
        (infrequent, "onnx", "onnx: refused: grouping of infrequent categories fails"),
        (infrequent, "treelite", "treelite: unsupported: it takes ensembles of trees alone"),
        (linear_trees, "onnx", "onnx: refused: linear_tree"),
    ],
)
def test_an_engine_that_is_wrong_or_cannot_is_not_to_be_had(
    import_packaged: Packaged, make: Callable[[], Any], engine: str, says: str
) -> None:
    model, rows = make()
    with pytest.raises(Unprocessable, match=f"no engine can serve this model: {says}"):
        import_packaged(model, pd.DataFrame(rows).rename(columns=str), engine=engine)


def test_categories_of_histogram_boosting_are_served_by_scikit_learn_itself(
    import_content: Import, ask: Ask
) -> None:
    rows = ROWS.copy()
    rows[:, 0] = np.abs(np.round(ROWS[:, 0]))
    model = HistGradientBoostingRegressor(max_iter=10, categorical_features=[0]).fit(rows, TARGET)
    # skops does not trust the parts that scikit-learn encodes categories with
    result = import_content(pickle.dumps(model), "model.pkl", limits=ALLOWING)
    assert result.runtime == "sklearn"
    assert "no counterpart in ONNX" in result.report["engines"]["onnx"]["outcome"]
    # it takes a category that was never seen for one that was
    assert result.report["engines"]["treelite"]["outcome"].startswith("mismatch: ")
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["prediction"], model.predict(rows), rtol=1e-5, atol=1e-6)


def test_lightgbm_may_end_a_pipeline(import_packaged: Packaged, ask: Ask) -> None:
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((encoder, ["city"]), ("passthrough", ["age"]))
    columns.set_output(transform="pandas")
    boosting = LGBMClassifier(n_estimators=15, verbose=-1, n_jobs=1)
    model = make_pipeline(columns, boosting)
    model.fit(FRAME, np.where(TARGET + (CITIES == "Rome") > 0, "yes", "no"))
    result = import_packaged(model, FRAME)
    assert result.runtime == "onnx"
    found = ask(result, as_inputs(result, FRAME))
    # as single precision has them
    frame = FRAME.assign(age=FRAME["age"].astype(np.float32).astype(float))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(frame), atol=1e-5)
    assert set(found["label"]) == {"yes", "no"}


class Doubled(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """A transformer of the owner's own, which only a pickle can carry."""

    def fit(self, rows: Any, target: Any = None) -> "Doubled":
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, rows: Any) -> Any:
        return np.asarray(rows) * 2


def test_a_pickle_serves_natively_only_where_code_is_allowed(
    import_content: Import, ask: Ask
) -> None:
    model = make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(np.abs(ROWS), TARGET)
    result = import_content(pickle.dumps(model), "model.pkl", limits=ALLOWING)
    assert (result.runtime, result.options["format"]) == ("sklearn", "pickle")
    assert result.allowed_code
    found = ask(result, {"features": np.abs(ROWS)})
    np.testing.assert_allclose(found["prediction"], model.predict(np.abs(ROWS)), rtol=1e-4)


def test_a_class_of_the_owners_own_is_refused_by_name(import_packaged: Packaged) -> None:
    model = make_pipeline(Doubled(), Ridge()).fit(ROWS, TARGET)
    with pytest.raises(Unprocessable, match=r"not on the list of known safe ones.*Doubled"):
        import_packaged(model)


def test_rows_of_another_width_are_a_failure_of_the_model(import_packaged: Packaged) -> None:
    model, rows = own_math()
    result = import_packaged(model, pd.DataFrame(rows).rename(columns=str))
    served = load(result.runtime, result.servable, result.options)
    with pytest.raises(ModelFailed, match=r"rows of \(3,\) features, expected 4"):
        served.run({"features": np.ones((2, 3), np.float32)})
