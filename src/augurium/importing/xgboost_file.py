"""A saved XGBoost model, checked before XGBoost itself reads it, whose loader trusts what it finds.

Format: XGBoost documentation, "Introduction to Model IO", JSON schema; fields as of 3.2.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array
from augurium.importing import ubjson

MAX_FEATURES = 1_000_000
NO_CHILD = -1
CATEGORICAL = 1


class Tree(msgspec.Struct):
    """One tree as arrays with an entry per node."""

    left: Any
    right: Any
    feature: Any
    threshold: Any
    categorical: Any


class XgboostFile(msgspec.Struct, kw_only=True):
    """What a checked file says about its model.

    `thresholds` holds the numbers each feature is compared with and `levels` the number of levels
    of each categorical feature. `vector_leaves`: a leaf holds all outputs; `has_categories`: the
    values of categories are kept beside their codes.
    """

    objective: str
    booster: str
    num_class: int
    num_target: int
    num_feature: int
    vector_leaves: bool
    has_categories: bool
    feature_names: list[str]
    feature_types: list[str]
    thresholds: dict[int, Any]
    levels: dict[int, int]


def read_document(content: bytes) -> dict[str, Any]:
    """The JSON or UBJSON document of a saved model. Raises Unprocessable if it is neither."""
    if content.lstrip()[1:].lstrip()[:1] == b'"':
        document = _from_json(content)
    else:
        document = ubjson.decode(content)
    if not isinstance(document, dict) or not isinstance(document.get("learner"), dict):
        raise Unprocessable("the file has no 'learner'; save the model with XGBoost's save_model")
    return document


def inspect(document: dict[str, Any]) -> XgboostFile:
    """Reads and checks a document. Raises Unprocessable for the first thing that is wrong."""
    try:
        return _inspect(document["learner"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(f"something missing or of the wrong type: {error!r}") from error


def damaged(what: str) -> Unprocessable:
    return Unprocessable(f"the XGBoost model has {what}; save it again with save_model")


def _inspect(learner: dict[str, Any]) -> XgboostFile:
    parameters = learner["learner_model_param"]
    booster = learner["gradient_booster"]
    found = XgboostFile(
        objective=str(learner["objective"]["name"]),
        booster=str(booster["name"]),
        num_class=int(parameters["num_class"]),
        num_target=int(parameters.get("num_target", 1)),
        num_feature=int(parameters["num_feature"]),
        vector_leaves=False,
        has_categories=False,
        feature_names=[str(name) for name in learner.get("feature_names", [])],
        feature_types=[str(kind) for kind in learner.get("feature_types", [])],
        thresholds={},
        levels={},
    )
    _check_header(found)
    if found.booster == "gblinear":
        _check_linear(booster["model"], found)
    elif found.booster == "dart":
        _read_trees(booster["gbtree"]["model"], found)
        _floats(booster["weight_drop"], len(booster["gbtree"]["model"]["trees"]), "weight_drop")
    elif found.booster == "gbtree":
        _read_trees(booster["model"], found)
    else:
        raise damaged(f"the booster '{found.booster[:32]}', expected gbtree, dart or gblinear")
    return found


def _check_linear(model: Mapping[str, Any], found: XgboostFile) -> None:
    """A weight per feature and one bias, for each output."""
    groups = max(1, found.num_class, found.num_target)
    _floats(model["weights"], (found.num_feature + 1) * groups, "weights")


def _check_header(found: XgboostFile) -> None:
    if not 1 <= found.num_feature <= MAX_FEATURES:
        raise damaged(f"num_feature {found.num_feature}, expected 1 to {MAX_FEATURES}")
    if not 0 <= found.num_class <= MAX_FEATURES or not 0 <= found.num_target <= MAX_FEATURES:
        raise damaged(f"num_class {found.num_class} and num_target {found.num_target}")
    for names in (found.feature_names, found.feature_types):
        if names and len(names) != found.num_feature:
            raise damaged(f"{len(names)} feature names or types for {found.num_feature} features")
    if len(set(found.feature_names)) != len(found.feature_names):
        raise damaged("a feature name twice")


def _read_trees(model: Mapping[str, Any], found: XgboostFile) -> None:
    trees = model["trees"]
    if not trees or len(trees) != int(model["gbtree_model_param"]["num_trees"]):
        raise damaged(f"{len(trees)} trees, not as many as it says or none")
    groups = _integers(model["tree_info"], len(trees), "tree_info")
    if groups.min() < 0 or groups.max() >= max(1, found.num_class, found.num_target):
        raise damaged("a tree for an output that does not exist")
    _check_iterations(model, len(trees))
    found.has_categories = bool(model.get("cats", {}).get("enc"))
    found.thresholds = _thresholds(
        [_read_tree(saved, found, number) for number, saved in enumerate(trees)]
    )


def _thresholds(trees: list[Tree]) -> dict[int, Array]:
    numeric = [(tree.left != NO_CHILD) & ~tree.categorical for tree in trees]
    features = np.concatenate([t.feature[mask] for t, mask in zip(trees, numeric, strict=True)])
    values = np.concatenate([t.threshold[mask] for t, mask in zip(trees, numeric, strict=True)])
    if not len(features):
        return {}
    order = np.argsort(features, kind="stable")
    used, starts = np.unique(features[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    return {int(feature): np.unique(part) for feature, part in zip(used, parts, strict=True)}


def _check_iterations(model: Mapping[str, Any], count: int) -> None:
    if "iteration_indptr" not in model:
        return
    bounds = np.asarray(model["iteration_indptr"], np.int64)
    if bounds[0] != 0 or bounds[-1] != count or (np.diff(bounds) < 0).any():
        raise damaged("an iteration_indptr that does not divide its trees")


def _read_tree(saved: Mapping[str, Any], found: XgboostFile, number: int) -> Tree:
    count = int(saved["tree_param"]["num_nodes"])
    if count < 1:
        raise damaged(f"{count} nodes in tree {number}")
    tree = Tree(
        left=_integers(saved["left_children"], count, "left_children"),
        right=_integers(saved["right_children"], count, "right_children"),
        feature=_integers(saved["split_indices"], count, "split_indices"),
        threshold=_floats(saved["split_conditions"], count, "split_conditions"),
        categorical=_integers(saved.get("split_type", [0] * count), count, "split_type")
        == CATEGORICAL,
    )
    _integers(saved["default_left"], count, "default_left")
    _integers(saved["parents"], count, "parents")
    _check_leaves(saved, tree, found, number)
    _check_children(tree, count, number)
    used = tree.feature[tree.left != NO_CHILD]
    if len(used) and (used.min() < 0 or used.max() >= found.num_feature):
        raise damaged(f"a split on a feature that does not exist in tree {number}")
    _read_categories(saved, tree, found, number)
    return tree


def _check_leaves(saved: Mapping[str, Any], tree: Tree, found: XgboostFile, number: int) -> None:
    """One number in each leaf, or a vector of all outputs, which then lies in `leaf_weights`."""
    count, size = len(tree.left), int(saved["tree_param"].get("size_leaf_vector", 1))
    if size <= 1:
        _floats(saved["base_weights"], count, "base_weights")
        return
    if size != max(found.num_class, found.num_target):
        raise damaged(f"leaves of {size} numbers in tree {number}")
    found.vector_leaves = True
    _floats(saved["base_weights"], count * size, "base_weights")
    leaves = tree.left == NO_CHILD
    _floats(saved["leaf_weights"], int(leaves.sum()) * size, "leaf_weights")
    # a leaf names its place in leaf_weights where other nodes have their right child
    if not np.array_equal(np.sort(tree.right[leaves]), np.arange(leaves.sum())):
        raise damaged(f"a leaf without numbers in tree {number}")
    tree.right[leaves] = NO_CHILD


def _check_children(tree: Tree, count: int, number: int) -> None:
    """Every child exists and nodes have one parent, the root none: there is no way back."""
    if ((tree.left == NO_CHILD) != (tree.right == NO_CHILD)).any():
        raise damaged(f"a node with one child in tree {number}")
    inner = tree.left != NO_CHILD
    children = np.concatenate([tree.left[inner], tree.right[inner]])
    if len(children) and (children.min() < 1 or children.max() >= count):
        raise damaged(f"a child index that does not exist in tree {number}")
    if len(np.unique(children)) != len(children):
        raise damaged(f"a node with two parents in tree {number}")
    if _reached(tree, inner) != 1 + len(children):
        raise damaged(f"nodes that lead in a circle in tree {number}")


def _reached(tree: Tree, inner: Array) -> int:
    reached, frontier = 0, np.array([0])
    while len(frontier):
        reached += len(frontier)
        branching = frontier[inner[frontier]]
        frontier = np.concatenate([tree.left[branching], tree.right[branching]])
    return reached


def _read_categories(saved: Mapping[str, Any], tree: Tree, found: XgboostFile, number: int) -> None:
    nodes = np.asarray(saved.get("categories_nodes", []), np.int64)
    starts = _integers(saved.get("categories_segments", []), len(nodes), "categories_segments")
    sizes = _integers(saved.get("categories_sizes", []), len(nodes), "categories_sizes")
    levels = np.asarray(saved.get("categories", []), np.int64)
    if not np.array_equal(np.sort(nodes), np.flatnonzero(tree.categorical)):
        raise damaged(f"categories that do not belong to its categorical splits in tree {number}")
    if len(nodes) and (
        min(starts.min(), sizes.min(), levels.min(initial=0)) < 0
        or (starts + sizes).max() > len(levels)
    ):
        raise damaged(f"categories outside of their list in tree {number}")
    for node, start, size in zip(nodes, starts, sizes, strict=True):
        feature = int(tree.feature[node])
        highest = int(levels[start : start + size].max(initial=0))
        found.levels[feature] = max(found.levels.get(feature, 0), highest + 1)


def _integers(values: Any, count: int, name: str) -> Array:
    # an empty list has no type of its own
    found = np.asarray(values) if len(values) else np.empty(0, np.int64)
    return _counted(found.astype(np.int64, casting="same_kind"), count, name)


def _floats(values: Any, count: int, name: str) -> Array:
    found = _counted(np.asarray(values).astype(np.float64, casting="same_kind"), count, name)
    if not np.isfinite(found).all():
        raise damaged(f"a number in {name} that is not finite")
    return found


def _counted(values: Array, count: int, name: str) -> Array:
    if values.shape != (count,):
        raise damaged(f"{values.size} entries in {name}, expected {count}")
    return values


def _from_json(content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unprocessable(
            f"the file is not JSON: {error}; save the model again with save_model"
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
