"""A fitted scikit-learn model answering rows: the reference a converted graph is measured by."""

from typing import Any

import msgspec
import numpy as np
from sklearn.base import is_classifier

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array
from augurium.importing.conversion import RELATIVE_TOLERANCE, absolute_tolerance
from augurium.importing.hard_rows import Column, Rows, head, plain_rows, unseen_values, with_values
from augurium.importing.parity import Tolerance, compare
from augurium.runtimes.sklearn_answers import answers
from augurium.runtimes.sklearn_rows import RowLayout

MAX_PREDICTIONS = 300
PROBE_ROWS = 3
MIN_ROWS = 16
MIN_CERTAIN_SHARE = 0.5
TIE = 1e-5
# about 4 units in the last place of a float32, at the usual size of a column
ROUNDING = 2.0**-21


class NativeModel(msgspec.Struct, frozen=True):
    """A model and how it wants its rows."""

    model: Any
    layout: RowLayout

    @property
    def is_classifier(self) -> bool:
        return bool(is_classifier(self.model))

    def answers(self, rows: Rows) -> dict[str, Array]:
        """Outputs by name. Raises whatever scikit-learn raises for rows it does not take."""
        return answers(self.model, self.layout.frame(rows))

    def takes(self, rows: Rows) -> bool:
        """Whether the model answers all of these rows."""
        try:
            self.answers(rows)
        except Exception:  # an estimator refuses rows with an error of any class
            return False
        return True


def probed(native: NativeModel, columns: list[Column]) -> list[Column]:
    """The columns with what the model really takes: missing values, and categories it has not seen.

    Raises Unprocessable when the model takes no row at all.
    """
    closed = [msgspec.structs.replace(column, nullable=False, open=False) for column in columns]
    plain = plain_rows(closed)
    base = subset(plain, accepted(native, head(plain, 64)))
    if not len(next(iter(base.values()))):
        raise Unprocessable(
            f"the model answers none of the sample rows: {_refusal(native, head(plain, 1))}; "
            "send some rows of the training data along (data=...)"
        )
    base = head(base, PROBE_ROWS)
    missing = {column.name: None if column.is_text else np.nan for column in columns}
    unseen = {column.name: value for column in columns for value in unseen_values(column)[:1]}
    nullable, is_open = _taken(native, base, missing), _taken(native, base, unseen)
    return [
        msgspec.structs.replace(
            column,
            nullable=column.name in nullable,
            open=column.name in is_open or column.name not in unseen,
        )
        for column in columns
    ]


def _taken(native: NativeModel, base: Rows, values: dict[str, Any]) -> set[str]:
    """The columns in which the model takes these values; asked together, halved on refusal."""
    if not values or native.takes(with_values(base, values)):
        return set(values)
    if len(values) == 1:
        return set()
    items = list(values.items())
    middle = len(items) // 2
    halves = (dict(items[:middle]), dict(items[middle:]))
    return _taken(native, base, halves[0]) | _taken(native, base, halves[1])


def accepted(native: NativeModel, rows: Rows) -> Array:
    """The positions of rows the model answers, found by halving; what was not asked is left out."""
    count = len(next(iter(rows.values())))
    waiting, taken, asked = [np.arange(count)], [], 0
    while waiting and asked < MAX_PREDICTIONS:
        positions = waiting.pop()
        asked += 1
        if native.takes(subset(rows, positions)):
            taken.append(positions)
        elif len(positions) > 1:
            waiting.extend(np.array_split(positions, 2)[::-1])
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)


def subset(rows: Rows, positions: Array) -> Rows:
    """The rows at these positions."""
    return {name: values[positions] for name, values in rows.items()}


def uncertain_rows(
    native: NativeModel, rows: Rows, outputs: dict[str, Array], steady: frozenset[str]
) -> dict[str, Array]:
    """Masks of rows whose answer changes when numbers change by a rounding error, and of ties.

    The graph computes in single precision: where the framework's answer hangs on the last digits,
    for instance at a threshold of a tree behind a scaler, either side is right. Columns in `steady`
    are not changed.
    """
    masks = {name: np.zeros(len(answer), bool) for name, answer in outputs.items()}
    for direction in (1, -1):
        nudged = {
            name: values if name in steady else _nudged(values, direction)
            for name, values in rows.items()
        }
        if native.takes(nudged):
            for name, answer in native.answers(nudged).items():
                masks[name] |= _changed(name, outputs[name], answer)
    if "probabilities" in outputs:
        best = np.sort(outputs["probabilities"], axis=1)[:, -2:]
        masks["label"] |= masks["probabilities"] | (best[:, -1] - best[:, 0] < TIE)
    return masks


def check_certain(masks: dict[str, Array]) -> None:
    """Raises Unprocessable when too few rows are left to compare single precision by."""
    for name, mask in masks.items():
        if 1 - mask.mean() < MIN_CERTAIN_SHARE:
            raise Unprocessable(
                f"output '{name}' cannot be checked: in {int(mask.sum())} of {len(mask)} rows the "
                "model's own answer changes with the last digits of the input; scale the features "
                "differently"
            )


def _nudged(values: Array, direction: int) -> Array:
    if values.dtype == np.object_:
        return values
    sizes = np.abs(values[np.isfinite(values)]).astype(np.float64)
    usual = np.percentile(sizes, 99) if len(sizes) else 0.0
    wide = values.astype(np.float64)
    return wide + direction * ROUNDING * np.maximum(np.abs(wide), usual)


def _changed(name: str, before: Array, after: Array) -> Array:
    tolerance = Tolerance(RELATIVE_TOLERANCE, absolute_tolerance(name, before))
    mask = np.zeros(len(before), bool)
    mask[compare(before, after, mask.copy(), tolerance).differing] = True
    return mask


def _refusal(native: NativeModel, rows: Rows) -> str:
    try:
        native.answers(rows)
    except Exception as error:  # an estimator refuses rows with an error of any class
        return (str(error).splitlines() or [type(error).__name__])[0][:300]
    return "no row could be made up"
