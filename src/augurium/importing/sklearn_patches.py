"""Changes to a fitted model and to its converter that make the converted graph right.

They are applied in the child process only, after the reference was computed with the untouched
model; the parity check then shows whether they were right.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from skl2onnx.common import tree_ensemble
from skl2onnx.common._registration import get_converter, register_converter
from skl2onnx.operator_converters import decision_tree, gradient_boosting, random_forest
from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier
from skl2onnx.operator_converters.ordinal_encoder import convert_sklearn_ordinal_encoder
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from augurium.importing import sklearn_scaling
from augurium.importing.sklearn_parts import parts
from augurium.runtimes.sklearn_rows import MISSING_TEXT


def rewrite_model(model: Any) -> None:
    """Prepares a fitted model for conversion, in place."""
    for part in parts(model):
        if isinstance(part, Pipeline):
            sklearn_scaling.scale_before_imputing(part)
        if hasattr(part, "statistics_"):
            _rewrite_imputer(part)
        if hasattr(part, "categories_") and hasattr(part, "encoded_missing_value"):
            _rewrite_ordinal(part)
        if hasattr(part, "categories_"):
            part.categories_ = [_rewritten(levels) for levels in part.categories_]
        if isinstance(part, ColumnTransformer) and hasattr(part, "transformers_"):
            _number_columns(part)
        if hasattr(part, "flatten_transform"):
            # shapes what transform() gives, which is not what is served; the converter refuses it
            part.flatten_transform = False


def patch_converters() -> None:
    """Mends what skl2onnx gets wrong.

    Histogram boosting, missing values, LinearSVC at an end, digits of scaled numbers.
    """
    sklearn_scaling.register()
    onnx.helper.make_attribute = _with_plain_values(onnx.helper.make_attribute)
    for module in (tree_ensemble, decision_tree, gradient_boosting, random_forest):
        module.add_tree_to_attribute_pairs = _with_missing_directions(
            module.add_tree_to_attribute_pairs
        )
    linear = get_converter("SklearnLinearSVC")
    # it never makes a map; without the option it cannot stand at the end of a pipeline
    options = {**linear.get_allowed_options(), "zipmap": [True, False, "columns"]}
    register_converter(
        "SklearnLinearSVC", convert_sklearn_linear_classifier, overwrite=True, options=options
    )
    register_converter(
        "SklearnOrdinalEncoder",
        _with_missing_codes(convert_sklearn_ordinal_encoder),
        overwrite=True,
    )


def _rewrite_imputer(part: Any) -> None:
    if any(isinstance(value, str) for value in part.statistics_):
        part.missing_values = MISSING_TEXT
    elif isinstance(part.missing_values, int):
        part.missing_values = float(part.missing_values)


def _rewrite_ordinal(part: Any) -> None:
    """Lets codes be floats where NaN is one; the converter goes by the code of the unknown."""
    if not np.isnan(part.encoded_missing_value) or not any(
        _is_missing(level) for levels in part.categories_ for level in levels
    ):
        return
    if part.handle_unknown == "use_encoded_value":
        part.unknown_value = float(part.unknown_value)
        return
    part.handle_unknown, part.unknown_value = "use_encoded_value", np.nan


def _rewritten(levels: Any) -> Any:
    if levels.dtype.kind != "O" or not any(isinstance(level, str) for level in levels):
        return levels
    return np.array([MISSING_TEXT if _is_missing(level) else level for level in levels], object)


def _is_missing(level: Any) -> bool:
    return level is None or level != level


def _number_columns(part: Any) -> None:
    """Columns by position: the converter then does not care about names, which ONNX restricts."""
    indices = part._transformer_to_input_indices
    part.transformers_ = [
        (name, inner, list(indices[name])) for name, inner, _ in part.transformers_
    ]


def _with_plain_values(make_attribute: Callable[..., Any]) -> Callable[..., Any]:
    """ONNX checks strictly what skl2onnx fills with NumPy's booleans and floats."""

    def make(key: str, value: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, list):
            value = [_plain(item) for item in value]
        return make_attribute(key, value, *rest, **named)

    return make


def _plain(item: Any) -> Any:
    if isinstance(item, np.generic):
        item = item.item()
    return int(item) if isinstance(item, bool) else item


def _with_missing_directions(add_tree: Callable[..., None]) -> Callable[..., None]:
    """skl2onnx sends missing values to the right, scikit-learn where a node has learned to."""

    def add(
        pairs: dict[str, list[Any]], is_classifier: bool, tree: Any, *rest: Any, **named: Any
    ) -> None:
        add_tree(pairs, is_classifier, tree, *rest, **named)
        directions = pairs["nodes_missing_value_tracks_true"]
        inner = tree.children_left != -1
        directions[-tree.node_count :] = (
            (tree.missing_go_to_left.astype(bool) & inner).astype(int).tolist()
        )

    return add


def _with_missing_codes(convert: Callable[..., None]) -> Callable[..., None]:
    """skl2onnx gives missing values the next code, scikit-learn `encoded_missing_value`."""

    def convert_ordinal(scope: Any, operator: Any, container: Any) -> None:
        before = len(container.nodes)
        convert(scope, operator, container)
        code = operator.raw_operator.encoded_missing_value
        for node in container.nodes[before:]:
            if node.op_type == "LabelEncoder":
                _set_missing_code(node, code)

    return convert_ordinal


def _set_missing_code(node: Any, code: float) -> None:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    keys = [*_list(attributes, "keys_strings"), *_list(attributes, "keys_floats")]
    for position, key in enumerate(keys):
        if key == MISSING_TEXT.encode() or key != key:
            if "values_floats" in attributes:
                attributes["values_floats"].floats[position] = float(code)
            else:
                attributes["values_int64s"].ints[position] = int(code)


def _list(attributes: dict[str, Any], name: str) -> Any:
    attribute = attributes.get(name)
    if attribute is None:
        return ()
    return attribute.strings or attribute.floats
