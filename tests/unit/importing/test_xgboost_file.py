"""Checking saved XGBoost models before XGBoost reads them."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost

from augurium.core.errors import Unprocessable
from augurium.importing.xgboost_file import inspect, read_document


def trained(**settings: Any) -> xgboost.Booster:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    data = xgboost.DMatrix(
        rows, (rows.sum(axis=1) > 0).astype(int), feature_names=["a", "b", "c d"]
    )
    return xgboost.train({"max_depth": 3, "nthread": 1, **settings}, data, 3)


@pytest.fixture(scope="module")
def saved() -> bytes:
    return bytes(trained(objective="binary:logistic").save_raw("json"))


def test_both_formats_of_a_model_say_the_same() -> None:
    booster = trained(objective="binary:logistic")
    one, other = (inspect(read_document(bytes(booster.save_raw(kind)))) for kind in ("ubj", "json"))
    assert (one.objective, one.booster) == ("binary:logistic", "gbtree")
    assert one.feature_names == other.feature_names == ["a", "b", "c d"]
    assert one.thresholds.keys() == other.thresholds.keys()
    np.testing.assert_allclose(one.thresholds[0], other.thresholds[0], rtol=1e-6)


def test_several_outputs_and_other_boosters_are_told() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    leaves = xgboost.XGBRegressor(n_estimators=2, multi_strategy="multi_output_tree")
    leaves.fit(rows, rows[:, :2])
    assert inspect(read_document(bytes(leaves.get_booster().save_raw("ubj")))).vector_leaves
    dart = trained(booster="dart")
    assert inspect(read_document(bytes(dart.save_raw("ubj")))).booster == "dart"


def change_tree(name: str, place: int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(learner: dict[str, Any]) -> None:
        learner["gradient_booster"]["model"]["trees"][1][name][place] = value

    return change


def change_parameter(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(learner: dict[str, Any]) -> None:
        learner["learner_model_param"][name] = value

    return change


def lead_in_a_circle(learner: dict[str, Any]) -> None:
    tree = learner["gradient_booster"]["model"]["trees"][1]
    tree["left_children"][:3], tree["right_children"][:3] = [-1, 2, 1], [-1, 4, 3]


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(learner: dict[str, Any]) -> None:
        part = learner
        for name in path[:-1]:
            part = part[name]
        del part[path[-1]]

    return change


def drop_array(learner: dict[str, Any]) -> None:
    del learner["gradient_booster"]["model"]["trees"][1]["split_indices"]


def shorten_array(learner: dict[str, Any]) -> None:
    learner["gradient_booster"]["model"]["trees"][1]["default_left"].pop()


def forge_category(learner: dict[str, Any]) -> None:
    tree = learner["gradient_booster"]["model"]["trees"][1]
    tree["split_type"][0] = 1
    tree["categories_nodes"], tree["categories"] = [0], [1, 2]
    tree["categories_segments"], tree["categories_sizes"] = [0], [9]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (change_tree("left_children", 0, 999999), "child index that does not exist"),
        (change_tree("left_children", 0, -2), "child index that does not exist"),
        (change_tree("left_children", 0, -1), "one child"),
        (change_tree("left_children", 0, 2), "two parents"),
        (lead_in_a_circle, "in a circle"),
        (change_tree("split_indices", 0, 3), "feature that does not exist"),
        (change_tree("split_conditions", 0, 1e39 * 1e300), "not finite"),
        (change_tree("split_indices", 0, 0.5), "wrong type"),
        (change_parameter("num_feature", str(2**31)), "num_feature 2147483648"),
        (change_parameter("num_feature", "0"), "num_feature 0"),
        (change_parameter("num_class", "-3"), "num_class -3"),
        (change_parameter("num_feature", "many"), "wrong type"),
        (drop("gradient_booster", "model", "trees"), "'trees'"),
        (drop("objective"), "'objective'"),
        (drop_array, "'split_indices'"),
        (shorten_array, "entries in default_left"),
        (forge_category, "outside of their list"),
    ],
)
def test_a_forged_model_is_refused_and_the_fault_named(
    saved: bytes, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    document = json.loads(saved)
    change(document["learner"])
    with pytest.raises(Unprocessable, match=says):
        inspect(document)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"learner": {"a": 1, "a": 2}}', "stands there twice"),
        (b'{"learner": {"a": NaN}}', "not a number of JSON"),
        (b'{"learner": [', "not JSON"),
        (b'{"learner": ' + b"[" * 100_000, "not JSON"),
        (b'{"version": [3, 2, 0]}', "no 'learner'"),
    ],
)
def test_json_is_read_strictly(content: bytes, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        read_document(content)
