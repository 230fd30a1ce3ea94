"""LightGBM models become servable and answer as before."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor

from augurium.core.errors import Unprocessable
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult

Packaged = Callable[..., ImportResult]
Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

RNG = np.random.default_rng(9)
ROWS = RNG.normal(size=(1500, 4)).astype(np.float32)
TARGET = ROWS[:, 0] * 100 + ROWS[:, 1] * ROWS[:, 2] * 50
HOLED = np.where(RNG.random(ROWS.shape) < 0.1, np.nan, ROWS).astype(np.float32)
FEATURES = ("f0", "f1", "f2", "f3")
SMALL = {"n_estimators": 15, "verbose": -1, "n_jobs": 1}


def expected_of(model: Any, rows: Any, **options: Any) -> Any:
    return model.booster_.predict(rows, **options)


@pytest.mark.parametrize("labels", [("no", "yes"), (0, 1), ("a", "b", "c"), (3, 5, 9)])
def test_a_classifier_answers_its_labels_and_probabilities(
    import_packaged: Packaged, ask: Ask, labels: tuple[Any, ...]
) -> None:
    bounds = [0] if len(labels) == 2 else [-50, 50]
    targets = np.array(labels)[np.digitize(TARGET, bounds)]
    model = LGBMClassifier(**SMALL).fit(HOLED, targets)
    result = import_packaged(model)
    assert (result.framework, result.runtime) == ("lightgbm", "onnx")
    assert result.signature.inputs == (
        TensorSpec("features", "FP32", (-1, 4), features=FEATURES, nullable=True),
    )
    kind = "BYTES" if isinstance(labels[0], str) else "INT64"
    assert result.signature.outputs == (
        TensorSpec("label", kind, (-1,)),
        TensorSpec("probabilities", "FP32", (-1, len(labels))),
    )
    found = ask(result, {"features": HOLED})
    expected = expected_of(model, HOLED)
    if len(labels) == 2:
        expected = np.column_stack([1 - expected, expected])
    assert found["label"].tolist() == np.array(labels)[expected.argmax(axis=1)].tolist()
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


@pytest.mark.parametrize("engine", ["treelite", "lightgbm"])
def test_labels_are_the_same_whichever_engine_serves(
    import_packaged: Packaged, ask: Ask, engine: str
) -> None:
    targets = np.array(["low", "high"])[(TARGET > 0).astype(int)]
    model = LGBMClassifier(**SMALL).fit(HOLED, targets)
    result = import_packaged(model, engine=engine)
    assert result.runtime == engine
    found = ask(result, {"features": HOLED})
    assert (
        found["label"].tolist() == np.where(expected_of(model, HOLED) > 0.5, "low", "high").tolist()
    )


def test_numbers_next_to_a_threshold_go_the_right_way_in_single_precision(
    import_packaged: Packaged, ask: Ask
) -> None:
    model = LGBMRegressor(n_estimators=60, verbose=-1).fit(ROWS, TARGET)
    trees = model.booster_.trees_to_dataframe()
    thresholds = trees.loc[trees.split_feature == "Column_0", "threshold"].to_numpy(np.float32)
    rows = np.repeat(ROWS[:1], 3 * len(thresholds), axis=0)
    rows[:, 0] = np.concatenate(
        [np.nextafter(thresholds, np.float32(side)) for side in (-np.inf, 0, np.inf)]
    )
    result = import_packaged(model)
    assert result.runtime == "onnx"
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["prediction"], expected_of(model, rows), rtol=1e-5, atol=1e-3)


def test_a_ranker_answers_its_scores(import_packaged: Packaged, ask: Ask) -> None:
    model = lightgbm.LGBMRanker(**SMALL)
    model.fit(HOLED, (TARGET > 0).astype(int), group=[20] * 75)
    found = ask(import_packaged(model), {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], expected_of(model, HOLED), rtol=1e-4, atol=1e-5)


def test_categories_are_served_by_their_codes(import_packaged: Packaged, ask: Ask) -> None:
    levels = ["Bonn", "Lima", "Oslo", "Rome"]
    codes = RNG.integers(0, 4, 1500)
    frame = pd.DataFrame({"x y": ROWS[:, 0], "c": pd.Categorical.from_codes(codes, levels)})
    model = LGBMRegressor(**SMALL).fit(frame, ROWS[:, 0] + np.sin(codes))
    result = import_packaged(model, frame)
    assert result.signature.inputs[0].features == ("x_y", "c")
    assert result.report["notes"] == [
        "send categories as their codes (0, 1, ...) in c",
        "codes of a categorical column: Bonn=0, Lima=1, Oslo=2, Rome=3",
    ]
    rows = np.column_stack([ROWS[:200, 0], [*codes[:190], *[np.nan] * 4, *[4] * 3, *[-1] * 3]])
    rows = rows.astype(np.float32)
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["prediction"], expected_of(model, rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "right", "outcome"),
    [
        ({"linear_tree": True}, "lightgbm", "refused: linear_tree: the converted model would be"),
        ({"zero_as_missing": True}, "lightgbm", "refused: zero_as_missing: the converted"),
        ({"reg_sqrt": True}, "treelite", "refused: reg_sqrt: the converted model"),
        (
            {"boosting_type": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
            "treelite",
            "refused: boosting=rf: the converted model",
        ),
    ],
)
def test_what_is_silently_wrong_in_onnx_is_served_by_another_engine(
    import_packaged: Packaged, ask: Ask, settings: dict[str, Any], right: str, outcome: str
) -> None:
    rows = np.where(RNG.random(ROWS.shape) < 0.2, 0, HOLED).astype(np.float32)
    model = LGBMRegressor(**SMALL, **settings).fit(rows, TARGET)
    result = import_packaged(model)
    assert result.runtime in (right, "lightgbm")
    assert result.report["engines"][right]["outcome"] == "ok"
    assert result.report["engines"]["onnx"]["outcome"].startswith(outcome)
    found = ask(result, {"features": rows})
    np.testing.assert_allclose(found["prediction"], expected_of(model, rows), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "engine", "says"),
    [
        ({"linear_tree": True}, "onnx", "onnx: refused: linear_tree"),
        ({"linear_tree": True}, "treelite", "treelite: unsupported: it has no linear_tree"),
        ({"zero_as_missing": True}, "onnx", "onnx: refused: zero_as_missing"),
        ({"zero_as_missing": True}, "treelite", "treelite: refused: zero_as_missing"),
    ],
)
def test_an_engine_that_would_be_wrong_is_not_to_be_had(
    import_packaged: Packaged, settings: dict[str, Any], engine: str, says: str
) -> None:
    rows = np.where(RNG.random(ROWS.shape) < 0.2, 0, ROWS).astype(np.float32)
    model = LGBMRegressor(**SMALL, **settings).fit(rows, TARGET)
    with pytest.raises(Unprocessable, match=f"no engine can serve this model: {says}"):
        import_packaged(model, engine=engine)


@pytest.mark.parametrize("objective", ["mape", "fair", "cross_entropy", "cross_entropy_lambda"])
def test_an_objective_the_converter_does_not_know_is_served_by_another_engine(
    import_packaged: Packaged, ask: Ask, objective: str
) -> None:
    target = (TARGET > 0) * 0.5 + 0.2 if objective.startswith("cross") else TARGET
    model = LGBMRegressor(**SMALL, objective=objective).fit(HOLED, target)
    result = import_packaged(model)
    assert result.runtime in ("treelite", "lightgbm")
    assert result.report["engines"]["treelite"]["outcome"] == "ok"
    assert "Unsupported LightGbm objective" in result.report["engines"]["onnx"]["outcome"]
    found = ask(result, {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], expected_of(model, HOLED), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"objective": "multiclassova"}, "refused: objective multiclassova"),
        ({"sigmoid": 2.0}, "refused: sigmoid=2"),
    ],
)
def test_probabilities_that_are_silently_wrong_in_onnx_come_from_another_engine(
    import_packaged: Packaged, ask: Ask, settings: dict[str, Any], outcome: str
) -> None:
    several = settings.get("objective") == "multiclassova"
    targets = np.digitize(TARGET, [-50, 50] if several else [0])
    model = LGBMClassifier(**SMALL, **settings).fit(HOLED, targets)
    result = import_packaged(model)
    # both are right, and the machine decides which is faster
    assert result.runtime in ("treelite", "lightgbm")
    assert result.report["engines"]["treelite"]["outcome"] == "ok"
    assert result.report["engines"]["onnx"]["outcome"].startswith(outcome)
    found = ask(result, {"features": HOLED})["probabilities"]
    expected = expected_of(model, HOLED)
    np.testing.assert_allclose(found if several else found[:, 1], expected, atol=1e-6)


def test_an_objective_of_the_owners_own_answers_raw_scores_and_says_so(
    import_packaged: Packaged, ask: Ask
) -> None:
    def squares(found: Any, data: Any) -> tuple[Any, Any]:
        return found - data.get_label(), np.ones_like(found)

    data = lightgbm.Dataset(ROWS, TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = lightgbm.train({"objective": squares, "verbosity": -1, "num_threads": 1}, data, 10)
    result = import_packaged(model)
    assert result.report["notes"] == [
        "the model was trained with an objective of its own, so its answers are raw scores"
    ]
    found = ask(result, {"features": HOLED})
    np.testing.assert_allclose(found["prediction"], model.predict(HOLED), rtol=1e-4, atol=1e-4)


def test_a_damaged_file_is_refused(import_content: Import) -> None:
    text = LGBMRegressor(**SMALL).fit(ROWS, TARGET).booster_.model_to_string()
    with pytest.raises(Unprocessable, match=r"the LightGBM model has .*; save it again"):
        import_content(text.replace("num_leaves=31", "num_leaves=-1").encode(), "model.txt")
