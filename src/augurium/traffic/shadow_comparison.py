"""Whether two versions answer the same: row by row and output by output, in counts that add up."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from augurium.core.shadow import Comparison
from augurium.core.tensors import Array, is_float
from augurium.traffic.shadow_sums import OutputSums

# of a label that is counted
LONGEST_LABEL = 64
# of an answer that is not the same in kind, or that is not a number
UNLIKE = sys.float_info.max
# Kendall's tau looks at every pair of items: the baseline's highest so many
RANKED_ITEMS = 64
# rows whose pairs are looked at together
RANKED_ROWS = 256

Outputs = Mapping[str, Array]


class Compared(NamedTuple):
    """How each row differs, 0 for one that is the same, and in which output most; and the sums."""

    difference: Array
    output: list[str]
    outputs: dict[str, OutputSums]

    @property
    def agreeing(self) -> int:
        """Rows that are the same."""
        return int((self.difference == 0).sum())


def compare(baseline: Outputs, shadow: Outputs, batched: bool, comparison: Comparison) -> Compared:
    """Compares the answers to one request; of those that are not `batched` each is one row.

    Outputs of the shadow that the baseline has not are not looked at.
    """
    rows = 1
    if batched:
        rows = len(next(iter(baseline.values()))) if baseline else 0
    worst = np.zeros(rows)
    names = [""] * rows
    sums: dict[str, OutputSums] = {}
    for name, before in baseline.items():
        found = sums[name] = OutputSums(rows=rows)
        difference = _difference(before, shadow.get(name), batched, comparison, found)
        found.differing = int((difference > 0).sum())
        for row in np.flatnonzero(difference > worst).tolist():
            names[row] = name
        worst = np.maximum(worst, difference)
    return Compared(worst, names, sums)


def _difference(
    before: Array, after: Array | None, batched: bool, comparison: Comparison, sums: OutputSums
) -> Array:
    """How each row of an output differs: 0 where it is the same."""
    unlike = _unlike(before, after)
    if after is None or unlike:
        sums.unlike[unlike] = sums.rows
        return np.full(sums.rows, UNLIKE)
    size = before.size // sums.rows if sums.rows else 0
    left, right = before.reshape(sums.rows, size), after.reshape(sums.rows, size)
    if not is_float(before.dtype):
        return _labels(left, right, sums)
    left, right = left.astype(np.float64), right.astype(np.float64)
    if comparison.ranking and size > 1:
        return _ranking(left, right, comparison.top_k, sums)
    return _numbers(left, right, comparison, sums)


def _unlike(before: Array, after: Array | None) -> str:
    """Why two outputs cannot be compared; empty where they can."""
    if after is None:
        return "missing"
    if before.shape != after.shape:
        return "shape"
    return "" if _kind(before) == _kind(after) else "type"


def _kind(array: Array) -> str:
    if is_float(array.dtype):
        return "number"
    return "text" if array.dtype == np.object_ else "label"


def _numbers(left: Array, right: Array, comparison: Comparison, sums: OutputSums) -> Array:
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        difference = np.where(same, 0.0, np.abs(right - left))
        relative = np.where(left == 0, 0.0, difference / np.abs(left))
        allowed = comparison.absolute + comparison.relative * np.abs(left)
        finite = np.isfinite(difference)
        outside = ~same & ~(finite & (difference <= allowed))
    known = difference[finite]
    sums.values += int(difference.size)
    sums.not_finite += int(difference.size - known.size)
    if known.size:
        sums.total += float(known.sum())
        sums.largest = max(sums.largest, float(known.max()))
        finite_relative = relative[np.isfinite(relative)]
        sums.largest_relative = max(sums.largest_relative, float(finite_relative.max(initial=0.0)))
        for value, times in zip(*np.unique(known, return_counts=True), strict=True):
            sums.differences.observe(float(value), int(times))
    found = np.where(outside, np.where(finite, difference, UNLIKE), 0.0)
    return np.asarray(found.max(axis=1, initial=0.0))


def _labels(left: Array, right: Array, sums: OutputSums) -> Array:
    if left.shape[1] == 1:
        pairs = zip(left[:, 0].tolist(), right[:, 0].tolist(), strict=True)
        for (before, after), times in Counter(pairs).items():
            sums.count_labels(_text(before), _text(after), times)
    return np.asarray(np.any(left != right, axis=1), dtype=np.float64)


def _text(label: Any) -> str:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    text = str(label).lower() if isinstance(label, bool) else str(label)
    return text[:LONGEST_LABEL]


def _ranking(left: Array, right: Array, top_k: int, sums: OutputSums) -> Array:
    """The share of the highest items that are not the same, of each row."""
    rows, size = left.shape
    kept = min(top_k, size)
    # what is not a number is the lowest
    left, right = (np.where(np.isnan(scores), -np.inf, scores) for scores in (left, right))
    order, other = (np.argsort(-scores, axis=1, kind="stable") for scores in (left, right))
    chosen = np.zeros((rows, size), dtype=bool)
    np.put_along_axis(chosen, order[:, :kept], True, axis=1)
    overlap = np.take_along_axis(chosen, other[:, :kept], axis=1).mean(axis=1)
    sums.overlap += float(overlap.sum())
    sums.ranked += rows
    items = order[:, :RANKED_ITEMS]
    for start in range(0, rows, RANKED_ROWS):
        part = slice(start, start + RANKED_ROWS)
        before = np.take_along_axis(left[part], items[part], axis=1)
        after = np.take_along_axis(right[part], items[part], axis=1)
        sums.tau += float(_tau(before, after).sum())
    return np.asarray(1.0 - overlap)


def _tau(left: Array, right: Array) -> Array:
    """Kendall's tau-b of each row (Kendall 1945); 1 where both know no order, 0 where one does."""
    before, after = _signs(left), _signs(right)
    known = np.sqrt((before**2).sum(axis=(1, 2)) * (after**2).sum(axis=(1, 2)))
    orderless = (before == 0).all(axis=(1, 2)) & (after == 0).all(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        tau = (before * after).sum(axis=(1, 2)) / known
    return np.asarray(np.where(known > 0, tau, orderless.astype(np.float64)))


def _signs(scores: Array) -> Array:
    pairs = np.greater(scores[:, :, None], scores[:, None, :]).astype(np.float64)
    return np.asarray(pairs - pairs.transpose(0, 2, 1))
