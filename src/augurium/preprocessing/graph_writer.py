"""Writes the nodes of an ONNX graph, each constant and each repeated node once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from augurium.core.tensors import Array

ML = "ai.onnx.ml"
CONTRIB = "com.microsoft"
# the lowest opset of the default domain that has every operator used, as used
BASE_OPSET = 13
OPSETS = {"StringConcat": 20, "EqualText": 19}
ML_OPSET = 2


class GraphWriter:
    """Nodes and constants so far; names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opset = BASE_OPSET
        self.domains: dict[str, int] = {}
        self._known: dict[object, str] = {}

    def constant(self, values: Any, dtype: type | np.dtype[Any]) -> str:
        """The name of a constant."""
        array = np.asarray(values, dtype)
        content = array.tolist() if array.dtype == np.object_ else array.tobytes()
        key = ("constant", array.dtype.str, array.shape, repr(content))
        if key not in self._known:
            self._known[key] = self._name("c")
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def node(
        self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> str:
        """The name of the only output of a node; the same node gives the same name."""
        key = (operator, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._known:
            found = self._known[key] = self._name("t")
            self.nodes.append(
                helper.make_node(
                    operator,
                    list(inputs),
                    [found],
                    f"{found}_{operator}",
                    domain=domain,
                    **attributes,
                )
            )
            self.opset = max(self.opset, OPSETS.get(operator, 0))
            if domain:
                self.domains[domain] = ML_OPSET if domain == ML else 1
        return self._known[key]

    def equal_texts(self, name: str, text: str) -> str:
        """Where a tensor of texts equals one text."""
        self.opset = max(self.opset, OPSETS["EqualText"])
        return self.node("Equal", [name, self.constant([text], np.object_)])

    def doubles(self, values: Sequence[float]) -> str:
        """A constant of doubles."""
        return self.constant(values, np.float64)

    def floats(self, name: str) -> str:
        """Any numbers as float32."""
        return self.node("Cast", [name], to=TensorProto.FLOAT)

    def wide(self, name: str) -> str:
        """Any numbers as doubles."""
        return self.node("Cast", [name], to=TensorProto.DOUBLE)

    def columns(self, name: str, indices: Sequence[int], width: int) -> str:
        """Some columns of a matrix, in that order."""
        if list(indices) == list(range(width)):
            return name
        return self.node("Gather", [name, self.constant(indices, np.int64)], axis=1)

    def side_by_side(self, names: Sequence[str]) -> str:
        """Matrices beside each other."""
        return names[0] if len(names) == 1 else self.node("Concat", names, axis=1)

    def _name(self, letter: str) -> str:
        return f"{self._prefix}{letter}{len(self._known)}"


def array_of(values: Sequence[float | None]) -> Array:
    """Doubles, NaN for None."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
