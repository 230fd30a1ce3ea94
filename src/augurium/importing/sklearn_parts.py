"""The estimators a fitted scikit-learn model is made of, and whether it can be served at all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array

MAX_DEPTH = 32


def parts(model: Any) -> list[Any]:
    """The model and every estimator inside it, fitted or not, each once."""
    found: dict[int, Any] = {}
    _collect(model, found, 0)
    return list(found.values())


def check_servable(model: Any) -> None:
    """Raises Unprocessable for models without answers that a signature can describe."""
    if not isinstance(model, BaseEstimator) or not (is_classifier(model) or is_regressor(model)):
        raise Unprocessable(
            f"a {type(model).__name__} cannot be served; expected a fitted scikit-learn "
            "classifier, regressor, or a pipeline that ends in one"
        )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise Unprocessable(
            f"this {type(model).__name__} is not fitted; call fit before saving it"
        ) from error
    if not hasattr(model, "n_features_in_"):
        raise Unprocessable(
            f"this {type(model).__name__} does not take a table of columns, as models of text do "
            "not; put its vectorizer into a ColumnTransformer over a column of text"
        )
    if is_classifier(model) and isinstance(getattr(model, "classes_", None), list):
        raise Unprocessable(
            f"this {type(model).__name__} has several outputs with labels, and one is supported; "
            "register a model per output"
        )
    for part in parts(model):
        _check_trees(part)


def _collect(value: Any, found: dict[int, Any], depth: int) -> None:
    if depth > MAX_DEPTH or id(value) in found:
        return
    if isinstance(value, BaseEstimator):
        found[id(value)] = value
    for inner in _inside(value):
        _collect(inner, found, depth + 1)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, BaseEstimator) or type(value).__name__ == "_CalibratedClassifier":
        yield from vars(value).values()
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, tuple):
        yield from value
    elif isinstance(value, list):
        yield from value if _may_hold_estimators(value) else ()
    elif isinstance(value, np.ndarray) and value.dtype == np.object_:
        yield from value.ravel() if _may_hold_estimators(value.ravel()) else ()


def _may_hold_estimators(values: Any) -> bool:
    """Long lists hold numbers or names; those of estimators hold nothing else."""
    return len(values) > 0 and not isinstance(values[0], str | int | float | np.generic | None)


def _check_trees(part: Any) -> None:
    """A forged file could lead scikit-learn, which checks no index, out of the tree's memory."""
    if hasattr(part, "tree_"):
        tree = part.tree_
        _check_nodes(tree.children_left, tree.children_right, tree.feature, part.n_features_in_)
    for predictors in getattr(part, "_predictors", ()):
        for predictor in predictors:
            nodes = predictor.nodes
            inner = nodes["is_leaf"] == 0
            left = np.where(inner, nodes["left"].astype(np.int64), -1)
            right = np.where(inner, nodes["right"].astype(np.int64), -1)
            _check_nodes(left, right, nodes["feature_idx"], part.n_features_in_)


def _check_nodes(left: Array, right: Array, feature: Array, features: int) -> None:
    inner = left != -1
    own = np.flatnonzero(inner)
    children = np.concatenate([left[inner] - own, right[inner] - own])
    highest = max(left.max(initial=-1), right.max(initial=-1))
    used = feature[inner]
    # scikit-learn writes children behind their parents, so that there is no way back
    if (
        (children < 1).any()
        or highest >= len(left)
        or (len(used) and (used.min() < 0 or used.max() >= features))
    ):
        raise Unprocessable(
            "a tree of the model points outside of itself or in a circle; the file is damaged"
        )
