"""Checking saved LightGBM models before LightGBM reads them."""

import re
from typing import Any

import lightgbm
import numpy as np
import pytest

from augurium.core.errors import Unprocessable
from augurium.importing.lightgbm_file import read_model

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(500, 3))
CODES = RNG.integers(0, 40, 500)


def trained(
    target: Any = None, rows: Any = ROWS, categorical: Any = "auto", **settings: Any
) -> str:
    target = ROWS[:, 0] * 10 if target is None else target
    data = lightgbm.Dataset(
        rows, target, categorical_feature=categorical, params={"verbosity": -1, **settings}
    )
    settings = {"verbosity": -1, "num_leaves": 5, "num_threads": 1, **settings}
    return str(lightgbm.train(settings, data, 3).model_to_string())


MODEL = trained()
CATEGORICAL = trained(
    np.sin(CODES), np.column_stack([ROWS[:, 0], CODES]), categorical=[1], min_data_per_group=2
)


def with_sizes(text: str) -> str:
    """The text with tree_sizes as they are after a change."""
    begin, end = text.index("Tree=0\n"), text.index("end of trees\n")
    starts = [match.start() for match in re.finditer(r"^Tree=\d+$", text, re.MULTILINE)]
    sizes = np.diff([*starts, end])
    header = re.sub("tree_sizes=.*", "tree_sizes=" + " ".join(map(str, sizes)), text[:begin])
    return header + text[begin:]


def changed(name: str, value: str, text: str = MODEL) -> str:
    """The text with another value in the last tree that has the field, and right sizes."""
    begin = text.rindex(f"\n{name}=") + 1
    end = text.index("\n", begin)
    return with_sizes(f"{text[:begin]}{name}={value}{text[end:]}")


def test_a_sound_file_says_what_it_is() -> None:
    found = read_model(MODEL.encode())
    assert (found.objective, found.num_class, found.num_feature) == ("regression", 1, 3)
    assert found.num_tree == 3
    assert found.feature_names == ["Column_0", "Column_1", "Column_2"]
    assert len(found.thresholds[0]) >= 1
    assert not found.levels
    assert not found.has_linear_trees
    assert not found.zero_is_missing


def test_what_other_engines_get_wrong_is_told() -> None:
    assert read_model(trained(linear_tree=True).encode()).has_linear_trees
    assert read_model(trained(zero_as_missing=True).encode()).zero_is_missing
    forest = trained(boosting="rf", bagging_freq=1, bagging_fraction=0.5)
    assert read_model(forest.encode()).averages_trees


def test_categories_are_counted_from_their_bits() -> None:
    assert read_model(CATEGORICAL.encode()).levels == {1: 40}


def test_only_header_and_trees_reach_lightgbm() -> None:
    text = read_model(f"{MODEL}\nmachine_list_filename=/etc/passwd\n".encode()).text
    assert text.endswith("end of trees\n")
    assert "machine" not in text
    again = lightgbm.Booster(model_str=text).predict(ROWS)
    np.testing.assert_array_equal(again, lightgbm.Booster(model_str=MODEL).predict(ROWS))


def test_labels_saved_beside_the_model_are_read() -> None:
    binary = trained(ROWS[:, 0] > 0, objective="binary")
    found = read_model(f'{binary}\naugurium_classes:["no","yes"]\n'.encode())
    assert found.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MODEL.replace("version=v4", "version=v9"), "version v9, expected one of v3, v4"),
        (MODEL.replace("max_feature_idx=2", "max_feature_idx=-7"), "-6 features"),
        (MODEL.replace("max_feature_idx=2", "max_feature_idx=999999999"), "1000000000 features"),
        (MODEL.replace("Column_1", "Column_0"), "a feature name twice"),
        (MODEL.replace("num_class=1", "num_class=0"), "0 classes"),
        (MODEL.replace("num_tree_per_iteration=1", "num_tree_per_iteration=5"), "3 trees for"),
        (MODEL.replace("num_tree_per_iteration=1\n", ""), "num_tree_per_iteration"),
        (re.sub("tree_sizes=.*", "tree_sizes=1 2 3", MODEL), "tree_sizes that are not those"),
        (re.sub(r"tree_sizes=(\d+)", "tree_sizes=-5", MODEL), "tree_sizes that are not those"),
        (MODEL[: MODEL.index("end of trees")], "no end of trees"),
        (MODEL.replace("Tree=1\n", "Tree=7\n"), "no tree 1 where tree_sizes says"),
        (MODEL.replace("regression", "regre\0sion"), "a zero byte"),
        (changed("num_leaves", "-3"), "-3 leaves in tree 2"),
        (changed("num_leaves", "2000000000"), "2000000000 leaves in tree 2"),
        (changed("num_leaves", "4"), "entries in leaf_value, expected 4"),
        (changed("leaf_value", "nan nan nan nan nan"), "leaf_value"),
        (changed("split_feature", "0 0 99 0"), "a split on a feature that does not exist"),
        (changed("split_feature", "0 0 -1 0"), "a split on a feature that does not exist"),
        (changed("threshold", "0 0"), "2 entries in threshold, expected 4"),
        (changed("left_child", "1 2 3 99"), "a child that does not exist or has two parents"),
        (changed("left_child", "0 0 0 0"), "a child that does not exist or has two parents"),
        (changed("left_child", "-99 1 2 3"), "does not exist or has two parents"),
        (changed("num_cat", "3"), "0 categorical splits where num_cat is 3"),
        (changed("num_cat", "99", CATEGORICAL), "categorical splits where num_cat is 99"),
        (changed("cat_threshold", "1", CATEGORICAL), "cat_boundaries that do not divide"),
        (changed("cat_boundaries", "0 -5", CATEGORICAL), "cat_boundaries"),
        (f"{MODEL}\naugurium_classes:[1,2,3]\n", "3 classes for 2"),
        (f'{MODEL}\naugurium_classes:[1,"a"]\n', "classes that mix"),
        (f"{MODEL}\npandas_categorical:[[[[\n", "something missing or of the wrong type"),
    ],
)
def test_a_damaged_file_is_refused_before_lightgbm_reads_it(text: str, says: str) -> None:
    with pytest.raises(Unprocessable, match=re.escape(says)) as refused:
        read_model(text.encode())
    assert "save it again with Booster.save_model" in str(refused.value)


def circle(text: str) -> str:
    """Nodes 1 and 2 of the last tree are each other's parent; all have one."""
    return changed("right_child", "-1 -2 3 -5", changed("left_child", "-3 2 1 -4", text))


def test_nodes_in_a_circle_are_refused() -> None:
    with pytest.raises(Unprocessable, match=r"in a circle|two parents"):
        read_model(circle(MODEL).encode())


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(Unprocessable, match="of the wrong type"):
        read_model(b"tree\n\xff\xfe" + MODEL.encode()[5:])
