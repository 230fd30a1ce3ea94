"""A fitted scikit-learn model as an ONNX graph, with the names a server shows."""

from typing import Any

import msgspec
import onnx
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array
from augurium.importing import graph
from augurium.importing.hard_rows import Column
from augurium.importing.sklearn_native import NativeModel
from augurium.importing.sklearn_parts import parts
from augurium.importing.sklearn_patches import patch_converters, rewrite_model

INPUT = "features"
OUTPUTS = ("label", "probabilities", "prediction")
TARGET_OPSET = {"": 18, "ai.onnx.ml": 3}
INNER_NAME = "column_{}"


class Layout(msgspec.Struct, frozen=True):
    """How columns become inputs: one matrix of numbers, or an input per column."""

    columns: tuple[Column, ...]
    is_matrix: bool


def to_onnx(native: NativeModel, layout: Layout, outputs: dict[str, Array]) -> Any:
    """Converts the model, which is changed on the way.

    `outputs` are its answers, which tell what is wanted.

    Raises Unprocessable when the converter does not know a part of it, or says that it fails.
    """
    rewrite_model(native.model)
    patch_converters()
    _register_boosting(native.model)
    if layout.is_matrix:
        types = [(INPUT, FloatTensorType([None, len(layout.columns)]))]
    else:
        types = [
            (INNER_NAME.format(i), (StringTensorType if c.is_text else FloatTensorType)([None, 1]))
            for i, c in enumerate(layout.columns)
        ]
    model = _convert(native.model, types, native.is_classifier)
    _look_up_missing(model)
    _name_outputs(model.graph, outputs)
    if not layout.is_matrix:
        graph.drop_unused_inputs(model.graph)
        _name_inputs(model.graph, [column.name for column in layout.columns])
    return model


def versions() -> dict[str, str]:
    return {"skl2onnx": skl2onnx.__version__, "onnx": onnx.__version__}


def _convert(model: Any, types: list[Any], is_classifier: bool) -> Any:
    options = {"zipmap": False} if is_classifier else {}
    try:
        return skl2onnx.convert_sklearn(
            model, initial_types=types, options=options, target_opset=TARGET_OPSET
        )
    except MemoryError:
        raise
    except Exception as error:  # the converter raises classes of its own and Python's
        lines = str(error).splitlines() or [""]
        raise Unprocessable(
            f"skl2onnx {skl2onnx.__version__} cannot convert this model: {type(error).__name__}: "
            f"{lines[0][:300]}"
        ) from error


def _register_boosting(model: Any) -> None:
    packages = {type(part).__module__.partition(".")[0] for part in parts(model)}
    # here, not above: few pipelines hold one, and libraries of trees take long to import
    if "xgboost" in packages:
        from augurium.importing import sklearn_xgboost

        sklearn_xgboost.register()
    if "lightgbm" in packages:
        from augurium.importing import sklearn_lightgbm

        sklearn_lightgbm.register()
        sklearn_lightgbm.narrow_thresholds(parts(model))


def _look_up_missing(model: Any) -> None:
    """A table of codes finds NaN only from version 4 on, which skl2onnx does not know yet."""
    keys = [
        key
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "keys_floats"
        for key in attribute.floats
    ]
    if any(key != key for key in keys):
        for opset in model.opset_import:
            if opset.domain == "ai.onnx.ml":
                opset.version = 4


def _name_outputs(found: Any, outputs: dict[str, Array]) -> None:
    names = [output.name for output in found.output]
    graph.rename(found, dict(zip(names, outputs, strict=False)))
    graph.keep_outputs(found, outputs)
    if "prediction" in outputs and outputs["prediction"].ndim == 1:
        graph.flatten_output(found, "prediction")


def _name_inputs(found: Any, columns: list[str]) -> None:
    """Gives inputs the names of the columns, and inner tensors that are called so another name."""
    clashing = [name for name in columns if name in OUTPUTS]
    if clashing:
        raise Unprocessable(f"column '{clashing[0]}' is called like an output; rename the column")
    names = {INNER_NAME.format(index): name for index, name in enumerate(columns)}
    inner = {name for node in found.node for name in node.output}
    inner |= {weight.name for weight in found.initializer}
    graph.rename(found, {**names, **{name: f"{name}__inner" for name in inner & set(columns)}})
