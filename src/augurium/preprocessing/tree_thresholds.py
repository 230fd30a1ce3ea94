"""Scaling in front of trees moved into their thresholds: it costs nothing then.

A tree only asks on which side of a threshold a number lies. Scaling is monotone, rounding included,
so for every threshold there is one for the raw number that gives the same answer for every float32.
It is found by bisection over all of them: nothing is approximated.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array
from augurium.preprocessing import expressions as e
from augurium.preprocessing import fitted as f
from augurium.preprocessing import reference
from augurium.preprocessing.graph_writer import ML

TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
# whether the threshold itself belongs to those above it
ABOVE_INCLUDES = {
    b"BRANCH_LT": True,
    b"BRANCH_GTE": True,
    b"BRANCH_LEQ": False,
    b"BRANCH_GT": False,
}
LEAF = b"LEAF"
LOWEST, HIGHEST = -0x7F800000, 0x7F800000

Scales = Sequence[tuple[f.Scale, ...]]


def trees_reading(graph: Any, name: str) -> list[Any]:
    """The tree ensembles that alone read a matrix; none if others read it too, or if one compares
    in another way than with a float32 threshold.
    """
    readers = [node for node in graph.node if name in node.input]
    if any(value.name == name for value in graph.output):
        return []
    return readers if all(map(_is_simple, readers)) else []


def without_scales(
    outputs: Sequence[e.Number],
) -> tuple[tuple[e.Number, ...], tuple[tuple[f.Scale, ...], ...]]:
    """The outputs before their last steps where those scale a float32, and what was taken away."""
    pairs = [_split(expression) for expression in outputs]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def rescale(trees: Sequence[Any], scales: Scales) -> None:
    """Lets trees that were trained on scaled columns take them before they are scaled."""
    for node in trees:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        features = np.array(attributes["nodes_featureids"].ints)
        modes = np.array(list(attributes["nodes_modes"].strings), np.object_)
        thresholds = np.array(attributes["nodes_values"].floats, np.float32)
        for feature, steps in enumerate(scales):
            used = (features == feature) & (modes != LEAF)
            for mode, includes in ABOVE_INCLUDES.items() if steps else ():
                chosen = used & (modes == mode)
                thresholds[chosen] = _unscaled(thresholds[chosen], steps, includes)
        attributes["nodes_values"].floats[:] = thresholds.tolist()


def reorder(trees: Sequence[Any], order: Sequence[int]) -> None:
    """Lets trees read a matrix whose column `order[i]` is what was column i."""
    for node in trees:
        for attribute in node.attribute:
            if attribute.name == "nodes_featureids":
                attribute.ints[:] = [order[feature] for feature in attribute.ints]


def _is_simple(node: Any) -> bool:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    modes = set(attributes["nodes_modes"].strings) if "nodes_modes" in attributes else {None}
    return (
        node.domain == ML
        and node.op_type in TREES
        and "nodes_values" in attributes
        and modes <= {*ABOVE_INCLUDES, LEAF}
    )


def _split(expression: e.Number) -> tuple[e.Number, tuple[f.Scale, ...]]:
    if not isinstance(expression, e.Mapped):
        return expression, ()
    kept = list(expression.steps)
    taken: list[f.Scale] = []
    while kept and isinstance(last := kept[-1], f.Scale) and last.divide > 0:
        taken.insert(0, last)
        kept.pop()
    # what is scaled has to be a float32 already, or the threshold would be compared with another
    # number than was scaled
    exact = isinstance(expression.parent, e.RawNumber | e.Part)
    if not exact or not all(isinstance(step, f.Fill) for step in kept):
        return expression, ()
    if not kept:
        return expression.parent, tuple(taken)
    return msgspec.structs.replace(expression, steps=tuple(kept)), tuple(taken)


def _unscaled(thresholds: Array, steps: Sequence[f.Scale], includes: bool) -> Array:
    """The smallest numbers whose scaled value is at or above the thresholds, or the largest at or
    below them where the threshold itself does not count as above.
    """
    low = np.full(thresholds.shape, LOWEST, np.int64)
    high = np.full(thresholds.shape, HIGHEST, np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        scaled = _scaled(_float_at(middle), steps)
        above = scaled >= thresholds if includes else scaled > thresholds
        high = np.where(above, middle, high)
        low = np.where(above, low, np.minimum(middle + 1, high))
    return _float_at(low if includes else low - 1)


def _scaled(values: Array, steps: Sequence[f.Scale]) -> Array:
    wide = values.astype(np.float64)
    for step in steps:
        wide = reference.mapped(step, wide)
    with np.errstate(over="ignore"):
        return wide.astype(np.float32)


def _float_at(place: Array) -> Array:
    """The float32 at a place in the order of all of them; 0 is at place 0."""
    magnitude = np.abs(place).astype(np.uint32)
    sign = np.where(place < 0, np.uint32(0x80000000), np.uint32(0))
    return (magnitude | sign).view(np.float32)
