"""scikit-learn models become servable and answer as before."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult

Packaged = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

COUNT = 600
MISSING = "__NA__"


def customers() -> pd.DataFrame:
    """Numbers and strings, some of them missing."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": np.round(rng.normal(40, 12, COUNT)),
            "income": np.round(rng.lognormal(10, 1, COUNT), 2),
            "plan type": rng.choice(["free", "pro", "team"], COUNT),
            "city": rng.choice(["Oslo", "Rome", "Lima", "Bonn"], COUNT),
        }
    )
    frame.loc[rng.random(COUNT) < 0.1, "age"] = np.nan
    frame.loc[rng.random(COUNT) < 0.1, "city"] = None
    return frame


FRAME = customers()
MATRIX = np.random.default_rng(2).normal(size=(COUNT, 4)).astype(np.float32)
TARGET = MATRIX[:, 0] * 2 + MATRIX[:, 1] * MATRIX[:, 2]


def bought(frame: pd.DataFrame) -> Any:
    return ((frame["income"] > 22_000) ^ (frame["city"] == "Rome")).to_numpy()


def mixed(estimator: Any, city: Any = None) -> Pipeline:
    """A pipeline over customers: imputed, scaled and encoded columns."""
    known = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("city", known if city is None else city, ["city"]),
            ("plan", OneHotEncoder(handle_unknown="ignore"), ["plan type"]),
        ]
    )
    return Pipeline([("columns", columns), ("estimator", estimator)])


def as_inputs(frame: pd.DataFrame) -> dict[str, Any]:
    """A frame as the served model takes it: one input per column, a mark for missing strings."""
    inputs: dict[str, Any] = {}
    for name in frame.columns:
        if name in ("age", "income"):
            inputs[name] = frame[[name]].to_numpy(np.float32)
        else:
            inputs[name] = frame[[name]].astype(object).fillna(MISSING).to_numpy()
    return inputs


def strangers() -> pd.DataFrame:
    """Customers the model has not seen, from a city and with a plan it does not know."""
    frame = customers().sample(200, random_state=3).reset_index(drop=True)
    frame["income"] = frame["income"].astype(np.float32).astype(float) * 1.5
    frame.loc[:20, "city"] = "Atlantis"
    frame.loc[10:30, "plan type"] = None
    return frame


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), GradientBoostingClassifier(n_estimators=30)],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes")], ids=["int", "str"])
def test_a_mixed_pipeline_answers_as_before_on_gaps_and_unseen_categories(
    import_packaged: Packaged, ask: Ask, estimator: Any, labels: tuple[Any, Any]
) -> None:
    model = mixed(estimator).fit(FRAME, np.where(bought(FRAME), labels[1], labels[0]))
    result = import_packaged(model, FRAME)
    found = ask(result, as_inputs(strangers()))
    assert found["label"].tolist() == model.predict(strangers()).tolist()
    np.testing.assert_allclose(
        found["probabilities"], model.predict_proba(strangers()), rtol=1e-3, atol=1e-5
    )
    assert result.report["parity"]["label_differences"] == 0


def test_the_signature_of_a_mixed_pipeline_names_its_columns(import_packaged: Packaged) -> None:
    model = mixed(LogisticRegression()).fit(FRAME, np.where(bought(FRAME), "yes", "no"))
    signature = import_packaged(model).signature
    assert signature.inputs == (
        TensorSpec("age", "FP32", (-1, 1), nullable=True),
        TensorSpec("income", "FP32", (-1, 1), nullable=True),
        TensorSpec("plan type", "BYTES", (-1, 1), nullable=True, missing_value=MISSING),
        TensorSpec("city", "BYTES", (-1, 1), nullable=True, missing_value=MISSING),
    )
    assert signature.outputs == (
        TensorSpec("label", "BYTES", (-1,)),
        TensorSpec("probabilities", "FP32", (-1, 2), labels=("no", "yes")),
    )
    assert signature.batched


def test_a_missing_string_is_a_category_where_the_encoder_learned_it(
    import_packaged: Packaged, ask: Ask
) -> None:
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = mixed(LogisticRegression(), encoder).fit(FRAME, bought(FRAME).astype(int))
    found = ask(import_packaged(model, FRAME), as_inputs(strangers()))
    np.testing.assert_allclose(
        found["probabilities"], model.predict_proba(strangers()), rtol=1e-3, atol=1e-5
    )


def test_a_missing_string_stays_missing_behind_an_ordinal_encoder(
    import_packaged: Packaged, ask: Ask
) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = mixed(HistGradientBoostingClassifier(max_iter=20), encoder)
    model.fit(FRAME, bought(FRAME).astype(int))
    found = ask(import_packaged(model, FRAME), as_inputs(strangers()))
    np.testing.assert_allclose(
        found["probabilities"], model.predict_proba(strangers()), rtol=1e-3, atol=1e-5
    )


def test_a_missing_code_stays_missing_behind_an_ordinal_encoder(
    import_packaged: Packaged, ask: Ask
) -> None:
    codes = np.where(MATRIX[:, 0] > 1, np.nan, np.round(MATRIX[:, 1]))
    frame = pd.DataFrame({"code": codes, "x": np.round(MATRIX[:, 2], 1)})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encoder, ["code"]), ("passthrough", ["x"]))
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10))
    model.fit(frame, TARGET > 0)
    result = import_packaged(model, frame)
    assert result.signature.inputs[0].features == ("code", "x")
    found = ask(result, {"features": frame.to_numpy(np.float32)})
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(frame), atol=1e-5)


def marked(frame: pd.DataFrame, missing: Any) -> pd.DataFrame:
    """The frame with cities as plain objects, the missing ones marked so."""
    cities = [missing if city is None or city != city else city for city in frame["city"]]
    return frame.assign(city=pd.Series(cities, index=frame.index, dtype=object))


@pytest.mark.parametrize("missing", [np.nan, None])
@pytest.mark.parametrize("strategy", ["constant", "most_frequent"])
def test_strings_may_be_imputed_whatever_marks_their_gaps(
    import_packaged: Packaged, ask: Ask, missing: Any, strategy: str
) -> None:
    imputer = SimpleImputer(missing_values=missing, strategy=strategy)
    city = make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore"))
    frame = marked(FRAME, missing)
    model = mixed(LogisticRegression(), city).fit(frame, bought(FRAME).astype(int))
    result = import_packaged(model, frame)
    assert result.runtime == "onnx"
    found = ask(result, as_inputs(strangers()))
    expected = model.predict_proba(marked(strangers(), missing))
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [(LogisticRegression(), TARGET > 0), (Ridge(), TARGET)],
    ids=["classes", "numbers"],
)
def test_a_target_encoder_answers_unseen_categories_as_before(
    import_packaged: Packaged, ask: Ask, estimator: Any, target: Any
) -> None:
    model = mixed(estimator, TargetEncoder()).fit(FRAME, target)
    result = import_packaged(model, FRAME)
    assert result.runtime == "onnx"
    found = ask(result, as_inputs(strangers()))
    expected = getattr(model, "predict_proba", model.predict)(strangers())
    answer = found["probabilities" if "probabilities" in found else "prediction"]
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=20),
        HistGradientBoostingRegressor(max_iter=20),
    ],
    ids=lambda model: type(model).__name__,
)
def test_histogram_boosting_is_served_by_onnx(
    import_packaged: Packaged, ask: Ask, model: Any
) -> None:
    holed = np.where(np.random.default_rng(5).random(MATRIX.shape) < 0.1, np.nan, MATRIX)
    holed = holed.astype(np.float32)
    model.fit(holed, TARGET > 0 if hasattr(model, "predict_proba") else TARGET)
    result = import_packaged(model)
    assert result.runtime == "onnx"
    found = ask(result, {"features": holed})
    expected = getattr(model, "predict_proba", model.predict)(holed)
    answer = found["probabilities" if "probabilities" in found else "prediction"]
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_model_trained_in_double_precision_takes_single_precision(
    import_packaged: Packaged, ask: Ask
) -> None:
    boosting = GradientBoostingClassifier(n_estimators=20)
    model = make_pipeline(SimpleImputer(), boosting).fit(MATRIX.astype(np.float64), TARGET > 0)
    result = import_packaged(model)
    assert result.runtime == "onnx"
    assert result.signature.inputs[0].datatype == "FP32"
    found = ask(result, {"features": MATRIX})
    expected = model.predict_proba(MATRIX.astype(np.float64))
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-3, atol=1e-5)


def test_xgboost_may_end_a_pipeline(import_packaged: Packaged, ask: Ask) -> None:
    model = mixed(XGBClassifier(n_estimators=10)).fit(FRAME, bought(FRAME).astype(int))
    result = import_packaged(model, FRAME)
    assert result.runtime == "onnx"
    found = ask(result, as_inputs(strangers()))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(strangers()), atol=1e-5)


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_mean=False, with_std=False),
        RobustScaler(),
        RobustScaler(with_scaling=False),
        MinMaxScaler(),
        MinMaxScaler(clip=True),
        MaxAbsScaler(),
    ],
    ids=str,
)
@pytest.mark.parametrize("imputed", [False, True], ids=["scaled", "imputed and scaled"])
def test_scaled_numbers_reach_the_same_leaves_of_xgboost_as_in_scikit_learn(
    import_packaged: Packaged, ask: Ask, scaler: Any, imputed: bool
) -> None:
    holed = np.where(np.random.default_rng(6).random(MATRIX.shape) < 0.1, np.nan, MATRIX)
    rows = holed.astype(np.float32) if imputed else MATRIX
    steps = [SimpleImputer(), scaler] if imputed else [scaler]
    model = make_pipeline(*steps, XGBClassifier(n_estimators=30))
    model.fit(rows.astype(np.float64), np.digitize(TARGET, [-1, 1]))
    result = import_packaged(model)
    assert result.runtime == "onnx"
    # thresholds are values of these rows: in single precision some come out beside them
    expected = model.predict_proba(rows.astype(np.float64))
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    alone = [ask(result, {"features": row[None]})["probabilities"][0] for row in rows[:20]]
    np.testing.assert_allclose(alone, expected[:20], atol=1e-5)


def test_a_forest_sends_missing_values_where_scikit_learn_does(
    import_packaged: Packaged, ask: Ask
) -> None:
    holed = MATRIX.copy()
    holed[np.random.default_rng(4).random(holed.shape) < 0.15] = np.nan
    model = RandomForestClassifier(25, random_state=0).fit(holed, np.digitize(TARGET, [-1, 1]))
    result = import_packaged(model)
    assert result.signature.inputs == (TensorSpec("features", "FP32", (-1, 4), nullable=True),)
    found = ask(result, {"features": holed})
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(holed), atol=1e-5)


def test_a_regressor_answers_one_number_per_row(import_packaged: Packaged, ask: Ask) -> None:
    model = GradientBoostingRegressor(n_estimators=30).fit(MATRIX, TARGET)
    result = import_packaged(model)
    assert result.signature.outputs == (TensorSpec("prediction", "FP32", (-1,)),)
    assert not result.signature.inputs[0].nullable
    found = ask(result, {"features": MATRIX})
    np.testing.assert_allclose(found["prediction"], model.predict(MATRIX), rtol=1e-3, atol=1e-4)


def test_columns_that_differ_in_taking_gaps_become_inputs_of_their_own(
    import_packaged: Packaged,
) -> None:
    frame = FRAME[["age", "income"]].assign(unused=1.0)
    columns = make_column_transformer((SimpleImputer(), ["age"]), ("passthrough", ["income"]))
    result = import_packaged(
        make_pipeline(columns, StandardScaler(), Ridge()).fit(frame, frame.income)
    )
    assert [(spec.name, spec.nullable) for spec in result.signature.inputs] == [
        ("age", True),
        ("income", False),
    ]


def test_a_frame_of_numbers_becomes_one_matrix_with_named_features(
    import_packaged: Packaged, ask: Ask
) -> None:
    frame = pd.DataFrame(MATRIX, columns=["a", "b", "c d", "e"])
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(frame, TARGET > 0)
    result = import_packaged(model, frame)
    assert result.signature.inputs[0].features == ("a", "b", "c d", "e")
    assert [spec.name for spec in result.signature.outputs] == ["label"]
    assert (ask(result, {"features": MATRIX})["label"] == model.predict(frame)).all()
