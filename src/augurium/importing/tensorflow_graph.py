"""TensorFlow functions to ONNX.

Imports tf2onnx, therefore used in child processes only.
"""

import logging
from pathlib import Path
from typing import Any

import onnx
import tf2onnx
from onnx import numpy_helper

from augurium.core.errors import Unprocessable
from augurium.core.tensors import TensorSpec
from augurium.importing import graph
from augurium.importing.conversion import Candidate
from augurium.runtimes.tensorflow_functions import NamedFunction

OPSET = 18
GRAPH_FILE = "model.onnx"
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def to_onnx(function: NamedFunction) -> Candidate:
    """Writes the graph of a function, under its names of inputs and outputs.

    Raises Unprocessable for operations without a counterpart: tf2onnx itself leaves them in the
    graph and reports success.
    """
    # it prints traces of what it leaves unconverted, which is found out below
    logging.disable(logging.CRITICAL)
    specs = list(function.input_specs.values())
    model, _ = tf2onnx.convert.from_function(function.function, input_signature=specs, opset=OPSET)
    _check_operators(model)
    _embed_constants(model.graph, function)
    _rename(model.graph, function)
    Path(GRAPH_FILE).write_bytes(model.SerializeToString())
    return Candidate(runtime="onnx", file=GRAPH_FILE)


def _check_operators(model: Any) -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    unknown = {n.op_type for n in model.graph.node if n.domain not in DOMAINS} | {
        node.op_type for node in model.graph.node if node.op_type not in known
    }
    if unknown:
        raise Unprocessable(f"tf2onnx has no counterpart in ONNX for {', '.join(sorted(unknown))}")


def _embed_constants(made: Any, function: NamedFunction) -> None:
    """Constants of Python that the function closed over become weights instead of inputs."""
    concrete = function.function.get_concrete_function()
    captured = zip(concrete.graph.internal_captures, concrete.captured_inputs, strict=True)
    values = {inner.name: value for inner, value in captured if value.dtype.name != "resource"}
    kept = []
    for edge in made.input:
        if edge.name in values:
            made.initializer.append(numpy_helper.from_array(values[edge.name].numpy(), edge.name))
        else:
            kept.append(edge)
    del made.input[:]
    made.input.extend(kept)


def _rename(made: Any, function: NamedFunction) -> None:
    """tf2onnx names inputs after arguments and outputs by counting; it keeps their order."""
    inputs = [value.name for value in made.input]
    outputs = [value.name for value in made.output]
    if len(inputs) != len(function.inputs) or len(outputs) != len(function.output_names):
        raise Unprocessable(
            f"tf2onnx left {len(inputs)} inputs and {len(outputs)} outputs of "
            f"{len(function.inputs)} and {len(function.output_names)}"
        )
    # over names that cannot be there yet, so that two names can change places
    passing = {name: f"__{place}__" for place, name in enumerate([*inputs, *outputs])}
    graph.rename(made, passing)
    wanted = [*(spec.name for spec in function.inputs), *function.output_names]
    graph.rename(made, dict(zip(passing.values(), wanted, strict=True)))
    for spec, value in zip(
        (*function.inputs, *function.outputs), (*made.input, *made.output), strict=True
    ):
        _check_edge(spec, graph.tensor_spec(value, "input or output"))


def _check_edge(wanted: TensorSpec, made: TensorSpec) -> None:
    """Dimensions that vary must have stayed so, and types."""
    fixed = [a for a, b in zip(wanted.shape, made.shape, strict=False) if a == -1 and b != -1]
    if fixed or wanted.datatype != made.datatype or len(wanted.shape) != len(made.shape):
        raise Unprocessable(
            f"tf2onnx made {made.datatype} {list(made.shape)} of '{wanted.name}', expected "
            f"{wanted.datatype} {list(wanted.shape)}"
        )
