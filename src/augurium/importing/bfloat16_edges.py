"""ONNX graphs that compute in float32 and take or give bfloat16.

Imports onnx, therefore used in child processes only.
"""

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from augurium.core.signature import Signature

WIDE = "_as_float32"


def narrow_edges(file: Path, signature: Signature) -> None:
    """Makes inputs and outputs bfloat16 that the signature says are BF16, with a cast behind or
    before each. Weights in other files stay where they are.
    """
    narrow = {
        spec.name for spec in (*signature.inputs, *signature.outputs) if spec.datatype == "BF16"
    }
    if not narrow:
        return
    model = onnx.load(str(file), load_external_data=False)
    graph = model.graph
    nodes = list(graph.node)
    before = [_narrow_input(graph, value) for value in graph.input if value.name in narrow]
    behind = [_narrow_output(graph, value) for value in graph.output if value.name in narrow]
    del graph.node[:]
    graph.node.extend([*before, *nodes, *behind])
    file.write_bytes(model.SerializeToString())


def _narrow_input(graph: Any, value: Any) -> Any:
    value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    name = value.name
    _rename(graph, name, name + WIDE)
    return helper.make_node("Cast", [name], [name + WIDE], to=TensorProto.FLOAT)


def _narrow_output(graph: Any, value: Any) -> Any:
    value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    name = value.name
    _rename(graph, name, name + WIDE)
    return helper.make_node("Cast", [name + WIDE], [name], to=TensorProto.BFLOAT16)


def _rename(graph: Any, name: str, other: str) -> None:
    """Whatever the nodes read or write under a name they do under another; subgraphs follow."""
    for node in graph.node:
        node.input[:] = [other if one == name else one for one in node.input]
        node.output[:] = [other if one == name else one for one in node.output]
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                _rename(subgraph, name, other)
