"""A fitted preprocessing as an ONNX graph."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from augurium.preprocessing import expressions as e
from augurium.preprocessing.fitted import FittedPreprocessing
from augurium.preprocessing.matrix_writer import MatrixWriter

IR_VERSION = 9
ELEMENT_TYPES = {"FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE, "BYTES": TensorProto.STRING}
OUTPUT = "matrix"
PREFIX = "preprocessing_"


class CompiledGraph(msgspec.Struct, frozen=True):
    """Nodes that turn `inputs` into the float32 matrix called `output`.

    Output i of the preprocessing is column `order[i]` of that matrix.
    """

    inputs: list[Any]
    nodes: list[Any]
    constants: list[Any]
    output: str
    width: int
    order: tuple[int, ...]
    opset: int
    domains: dict[str, int]


def compile_graph(
    fitted: FittedPreprocessing, prefix: str, outputs: Sequence[e.Number]
) -> CompiledGraph:
    """The graph of `outputs`, expressions over the raw columns of a fitted preprocessing.

    Its columns come in the order that costs least.
    """
    matrix_writer = MatrixWriter(fitted, prefix)
    piece = matrix_writer.matrix(outputs)
    places = {expression: place for place, expression in reversed([*enumerate(piece.columns)])}
    writer = matrix_writer.writer
    return CompiledGraph(
        inputs=[
            helper.make_tensor_value_info(
                spec.name, ELEMENT_TYPES[spec.datatype], [None, *spec.shape[1:]]
            )
            for spec in fitted.input_specs
        ],
        nodes=writer.nodes,
        constants=writer.constants,
        output=piece.name,
        width=len(piece.columns),
        order=tuple(places[expression] for expression in outputs),
        opset=writer.opset,
        domains=writer.domains,
    )


def compiled(fitted: FittedPreprocessing) -> onnx.ModelProto:
    """A model of the preprocessing alone: raw columns in, `matrix` [-1, n] FP32 out."""
    names = {column.name for column in fitted.inputs}
    prefix = free_prefix(names)
    graph = compile_graph(fitted, prefix, e.output_expressions(fitted))
    nodes, constants = list(graph.nodes), list(graph.constants)
    order = numpy_helper.from_array(np.array(graph.order, np.int64), f"{prefix}order")
    constants.append(order)
    matrix = OUTPUT if OUTPUT not in names else f"{prefix}{OUTPUT}"
    nodes.append(helper.make_node("Gather", [graph.output, order.name], [matrix], axis=1))
    output = helper.make_tensor_value_info(matrix, TensorProto.FLOAT, [None, len(graph.order)])
    domains = {"": graph.opset, **graph.domains}
    return helper.make_model(
        helper.make_graph(nodes, "preprocessing", graph.inputs, [output], constants),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in domains.items()],
        ir_version=IR_VERSION,
        producer_name="augurium",
    )


def free_prefix(names: Iterable[str]) -> str:
    """A prefix that none of the names has."""
    taken, prefix = tuple(names), PREFIX
    while any(name.startswith(prefix) for name in taken):
        prefix = f"_{prefix}"
    return prefix
