"""A preprocessing and the model behind it as one graph."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from augurium.core.errors import Unprocessable
from augurium.preprocessing.compiler import IR_VERSION, compile_graph, free_prefix
from augurium.preprocessing.expressions import output_expressions
from augurium.preprocessing.fitted import FittedPreprocessing
from augurium.preprocessing.graph_writer import ML
from augurium.preprocessing.tree_thresholds import (
    reorder,
    rescale,
    trees_reading,
    without_scales,
)


def merged(
    model: onnx.ModelProto, model_input: str, fitted: FittedPreprocessing
) -> onnx.ModelProto:
    """One graph that takes the raw columns and answers as `model` does on their matrix.

    `model` itself stays as it is. Raises Unprocessable when it has other inputs than the one, when
    that is not a float matrix as wide as the preprocessing's, or when its opset cannot be raised.
    """
    _check_input(model, model_input, len(fitted.outputs))
    _check_outputs(model, {spec.name for spec in fitted.input_specs})
    outputs, scales = output_expressions(fitted), None
    if trees_reading(model.graph, model_input):
        outputs, scales = without_scales(outputs)
    compiled = compile_graph(fitted, free_prefix(_names(model, fitted)), outputs)
    found = _raised(model, compiled.opset, compiled.domains)
    graph = found.graph
    matrix = f"{model_input}_of_model"
    _rename_inside(graph, {value.name for value in compiled.inputs}, model_input)
    _read_instead(graph, model_input, matrix)
    nodes, constants, name = list(compiled.nodes), list(compiled.constants), compiled.output
    if scales is not None:
        trees = trees_reading(graph, matrix)
        rescale(trees, scales)
        reorder(trees, compiled.order)
    elif compiled.order != tuple(range(compiled.width)):
        order = numpy_helper.from_array(np.array(compiled.order, np.int64), f"{name}_order")
        constants.append(order)
        nodes.append(helper.make_node("Gather", [name, order.name], [f"{name}_ordered"], axis=1))
        name = f"{name}_ordered"
    _read_instead(graph, matrix, name)
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    del graph.input[:]
    graph.input.extend(compiled.inputs)
    return found


def _check_input(model: onnx.ModelProto, model_input: str, width: int) -> None:
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if [value.name for value in inputs] != [model_input]:
        raise Unprocessable(
            f"the model takes the inputs {[value.name for value in inputs]}; a preprocessing makes"
            " one matrix: register a model with a single input of shape [-1, n]"
        )
    tensor = inputs[0].type.tensor_type
    extents = [d.dim_value if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
    fits = tensor.elem_type == onnx.TensorProto.FLOAT and len(extents) == 2
    if not fits or extents[1] not in (0, width):
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise Unprocessable(
            f"the model takes {kind} {extents} (0: any), but the preprocessing makes FLOAT"
            f" [0, {width}]; fit the one that the model was trained with"
        )


def _check_outputs(model: onnx.ModelProto, raw: set[str]) -> None:
    for value in model.graph.output:
        if value.name in raw:
            raise Unprocessable(
                f"the model's output is called like the raw column '{value.name}'; rename one of"
                " them"
            )


def _raised(model: onnx.ModelProto, opset: int, domains: dict[str, int]) -> onnx.ModelProto:
    """A copy of the model with the opsets that the preprocessing needs."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    versions = {entry.domain: entry for entry in found.opset_import}
    # a model of ai.onnx.ml alone may name no other domain
    default = versions.get("") or versions.get("ai.onnx")
    if default is None:
        found.opset_import.append(helper.make_opsetid("", opset))
    elif default.version < opset:
        found = _converted(found, opset)
        versions = {entry.domain: entry for entry in found.opset_import}
    for domain, version in domains.items():
        if domain not in versions:
            found.opset_import.append(helper.make_opsetid(domain, version))
        elif versions[domain].version < version:
            if domain == ML:
                _raise_encoders(found.graph)
            versions[domain].version = version
    found.ir_version = max(found.ir_version, IR_VERSION)
    return found


def _converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    used = {node.domain for node in model.graph.node}
    if used <= {ML}:  # nothing of the default domain to convert
        for entry in model.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = opset
        return model
    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises RuntimeError and its own classes
        raise Unprocessable(
            f"the model's opset cannot be raised to {opset}, which its preprocessing needs:"
            f" {str(error).strip().splitlines()[0][:200]}; export it with opset {opset} or later"
        ) from error


def _raise_encoders(graph: Any) -> None:
    """LabelEncoder of ai.onnx.ml 1 in the terms of version 2: classes by their number.

    All other operators of version 1 mean the same in version 2.
    """
    for node in graph.node:
        attributes = {a.name: a for a in node.attribute}
        if node.op_type != "LabelEncoder" or "classes_strings" not in attributes:
            continue
        classes = list(attributes["classes_strings"].strings)
        numbers = list(range(len(classes)))
        defaults = {n: a for n, a in attributes.items() if n.startswith("default_")}
        unknown = defaults["default_int64"].i if "default_int64" in defaults else -1
        del node.attribute[:]
        node.attribute.extend(
            [
                helper.make_attribute("keys_strings", classes),
                helper.make_attribute("values_int64s", numbers),
                helper.make_attribute("default_int64", unknown),
            ]
        )


def _names(model: onnx.ModelProto, fitted: FittedPreprocessing) -> set[str]:
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names |= {weight.name for weight in model.graph.initializer}
    return names | {column.name for column in fitted.inputs}


def _rename_inside(graph: Any, taken: set[str], model_input: str) -> None:
    """Gives values inside the model that are called like a raw column another name."""
    own = {name for node in graph.node for name in node.output}
    own |= {weight.name for weight in graph.initializer}
    for name in sorted((own & taken) - {model_input}):
        _read_instead(graph, name, f"model_{name}")


def _read_instead(graph: Any, name: str, other: str) -> None:
    """Replaces a name wherever it stands, in subgraphs too."""
    for weight in graph.initializer:
        weight.name = other if weight.name == name else weight.name
    for value in graph.value_info:
        value.name = other if value.name == name else value.name
    for node in graph.node:
        node.input[:] = [other if read == name else read for read in node.input]
        node.output[:] = [other if made == name else made for made in node.output]
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                _read_instead(subgraph, name, other)
