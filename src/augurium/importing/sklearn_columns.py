"""What a fitted scikit-learn model says about the columns it takes."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.tensors import Array
from augurium.importing.hard_rows import Column
from augurium.importing.table import Table, TableColumn, find_columns, numbers, texts

UNNAMED = "x{}"


class Facts(msgspec.Struct):
    """What the fitted parts know about one column.

    `none_is_missing`: None, not NaN, marks a missing text.
    """

    is_text: bool = False
    categories: tuple[Any, ...] = ()
    landmarks: list[float] = []
    none_is_missing: bool = False


def column_names(model: Any) -> list[str] | None:
    """The names of the columns the model was fitted with; None if they had none."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def facts_of(model: Any) -> list[Facts]:
    """Facts per column, gathered from the parts that see the columns as they come in."""
    facts = [Facts() for _ in range(model.n_features_in_)]
    _visit(model, facts)
    return facts


def columns_of(model: Any, facts: list[Facts], table: Table | None) -> list[Column]:
    """The columns with the values the table has for them.

    Raises InvalidArgument for a table that does not fit.
    """
    names = column_names(model)
    given = _given(names, len(facts), table)
    if names is None:
        names = table.names if table else [UNNAMED.format(index) for index in range(len(facts))]
    columns = []
    for index, (name, fact) in enumerate(zip(names, facts, strict=True)):
        column = given[index] if given else None
        is_text = fact.is_text or (column is not None and not fact.categories and column.is_text)
        columns.append(
            Column(
                name=name,
                is_text=is_text,
                categories=fact.categories,
                landmarks=tuple(fact.landmarks),
                values=_values(column, is_text),
            )
        )
    return columns


def _given(names: list[str] | None, count: int, table: Table | None) -> list[TableColumn]:
    if table is None:
        return []
    if names is not None:
        return find_columns(table, names)
    if len(table.columns) != count:
        raise InvalidArgument(
            f"the table has {len(table.columns)} columns and the model, which was fitted without "
            f"names, takes {count}; send exactly those, in the order of the training data"
        )
    return table.columns


def _values(column: TableColumn | None, is_text: bool) -> Any:
    if column is None:
        return ()
    return texts(column) if is_text else numbers(column)


def _visit(part: Any, facts: list[Facts]) -> bool:
    """Notes what `part` knows of its columns.

    Returns whether they come out of it in the same places.
    """
    if isinstance(part, Pipeline):
        return all(_visit(step, facts) for _, step in part.steps)
    if isinstance(part, ColumnTransformer):
        for name, inner, _ in part.transformers_:
            if not isinstance(inner, str):
                _visit(inner, [facts[i] for i in part._transformer_to_input_indices[name]])
        return False
    if isinstance(part, FeatureUnion):
        for _, inner in part.transformer_list:
            _visit(inner, facts)
        return False
    return _note(part, facts)


def _note(part: Any, facts: list[Facts]) -> bool:
    if part in ("passthrough", None):
        return True
    if hasattr(part, "statistics_"):
        return _note_imputer(part, facts)
    if hasattr(part, "categories_"):
        for fact, levels in zip(facts, part.categories_, strict=True):
            _note_categories(fact, levels)
        return False
    if hasattr(part, "vocabulary_"):
        for fact in facts:
            fact.is_text = True
        return False
    if hasattr(part, "scale_") and len(np.atleast_1d(part.scale_)) == len(facts):
        return _note_scaler(part, facts)
    _note_thresholds(part, facts)
    return False


def _note_imputer(part: Any, facts: list[Facts]) -> bool:
    for fact, value in zip(facts, part.statistics_, strict=True):
        if isinstance(value, str):
            fact.is_text = True
            fact.none_is_missing |= part.missing_values is None
        elif np.isfinite(value):
            fact.landmarks.append(float(value))
    return not getattr(part, "add_indicator", False)


def _note_categories(fact: Facts, levels: Array) -> None:
    present = [level for level in levels.tolist() if level is not None and level == level]
    fact.none_is_missing |= any(level is None for level in levels.tolist())
    if not present or all(isinstance(level, str) for level in present):
        fact.is_text = levels.dtype.kind in "OUS"
    elif any(isinstance(level, str) for level in present):
        raise Unprocessable(
            "an encoder was fitted on a column that mixes numbers and strings; make it one or the "
            "other"
        )
    fact.categories = fact.categories or tuple(present)


def _note_scaler(part: Any, facts: list[Facts]) -> bool:
    scales = np.atleast_1d(part.scale_)
    for attribute in ("mean_", "center_", "data_min_", "data_max_"):
        centres = getattr(part, attribute, None)
        if centres is None:
            continue
        steps = (0.0,) if attribute.startswith("data") else (-2.0, -1.0, 0.0, 1.0, 2.0)
        for fact, centre, scale in zip(facts, centres, scales, strict=True):
            fact.landmarks.extend(float(centre + step * scale) for step in steps)
    return True


def _note_thresholds(part: Any, facts: list[Facts]) -> None:
    """The numbers that trees compare columns with."""
    binned = getattr(part, "_bin_mapper", None)
    if binned is not None:
        for fact, bounds in zip(facts, binned.bin_thresholds_, strict=True):
            fact.landmarks.extend(float(bound) for bound in bounds if np.isfinite(bound))
        return
    for tree in _trees(part):
        inner = tree.children_left != -1
        for feature, threshold in zip(tree.feature[inner], tree.threshold[inner], strict=True):
            # infinite where only missing values are split off
            if np.isfinite(threshold):
                facts[feature].landmarks.append(float(threshold))


def _trees(part: Any) -> Iterable[Any]:
    """Of the estimator itself, or of an ensemble's members, which may be an array."""
    members = getattr(part, "estimators_", [])
    inner = members.ravel() if isinstance(members, np.ndarray) else members
    return [each.tree_ for each in (part, *inner) if hasattr(each, "tree_")]
