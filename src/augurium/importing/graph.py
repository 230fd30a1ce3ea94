"""ONNX graphs: what they take and give, and small changes to their edges.

Imported in child processes only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from augurium.core.errors import Unprocessable
from augurium.core.tensors import NUMPY_DTYPES, TensorSpec

# names of onnx.TensorProto.DataType; the protocol's datatypes carry NumPy's
DATATYPES = {
    helper.np_dtype_to_tensor_dtype(dtype): name
    for name, dtype in NUMPY_DTYPES.items()
    if name != "BYTES"
} | {onnx.TensorProto.STRING: "BYTES"}


def tensor_spec(value: Any, role: str) -> TensorSpec:
    """The spec of a graph's input or output.

    Raises Unprocessable for types that cannot be served.
    """
    if not value.type.HasField("tensor_type"):
        raise Unprocessable(
            f"{role} '{value.name}' is a {value.type.WhichOneof('value')}, expected a tensor; "
            "convert scikit-learn classifiers with zipmap=False"
        )
    tensor = value.type.tensor_type
    datatype = DATATYPES.get(tensor.elem_type)
    if datatype is None:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise Unprocessable(
            f"{role} '{value.name}' has elements of type {name}; cast it in the graph to one of "
            f"{', '.join(NUMPY_DTYPES)}"
        )
    if not tensor.HasField("shape"):
        raise Unprocessable(
            f"{role} '{value.name}' has no shape; export the model with shapes, dynamic dimensions "
            "by name"
        )
    return TensorSpec(value.name, datatype, tuple(_extent(d) for d in tensor.shape.dim))


def true_inputs(graph: Any) -> list[Any]:
    """The inputs a caller must give: old files list their weights among the inputs as well."""
    weights = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Gives inputs and outputs of the graph other names, in place. Subgraphs follow."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                rename(subgraph, names)


def drop_unused_inputs(graph: Any) -> None:
    """Drops inputs no node reads, which a caller would have to send all the same."""
    read = {name for node in graph.node for name in node.input}
    read |= {value.name for value in graph.output}
    kept = [value for value in graph.input if value.name in read]
    del graph.input[:]
    graph.input.extend(kept)


def keep_outputs(graph: Any, names: Iterable[str]) -> None:
    """Drops all outputs but these."""
    wanted = set(names)
    kept = [value for value in graph.output if value.name in wanted]
    del graph.output[:]
    graph.output.extend(kept)


def flatten_output(graph: Any, name: str) -> None:
    """Makes an output of shape [-1, 1] one of shape [-1]."""
    column = f"{name}_column"
    shape = f"{name}_shape"
    element_type = next(
        value.type.tensor_type.elem_type for value in graph.output if value.name == name
    )
    rename(graph, {name: column})
    keep_outputs(graph, [value.name for value in graph.output if value.name != column])
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), shape))
    graph.node.append(helper.make_node("Reshape", [column, shape], [name]))
    graph.output.append(helper.make_tensor_value_info(name, element_type, [None]))


def label_output(graph: Any, name: str, classes: Sequence[str | int]) -> None:
    """Makes an output of positions one of the labels that stand there; none are to change."""
    if not classes:
        return
    positions, labels = f"{name}_position", f"{name}_classes"
    rename(graph, {name: positions})
    keep_outputs(graph, [value.name for value in graph.output if value.name != positions])
    texts = isinstance(classes[0], str)
    values = np.array(classes, np.object_ if texts else np.int64)
    graph.initializer.append(numpy_helper.from_array(values, labels))
    graph.node.append(helper.make_node("Gather", [labels, positions], [name]))
    kind = onnx.TensorProto.STRING if texts else onnx.TensorProto.INT64
    graph.output.insert(0, helper.make_tensor_value_info(name, kind, [None]))


def _extent(dimension: Any) -> int:
    return (
        int(dimension.dim_value)
        if dimension.HasField("dim_value") and dimension.dim_value > 0
        else -1
    )
