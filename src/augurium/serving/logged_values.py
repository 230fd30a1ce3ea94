"""The inputs and outputs of a logged prediction: a copy that is bounded, and its JSON later."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from augurium.core.inference import InferenceResponse, Instances
from augurium.core.tensors import Array
from augurium.serving.redaction import Redaction

TRUNCATED = "augurium-truncated"
INSTANCES = "instances"
# of a number in JSON, and of a text its object besides
NUMBER_BYTES = 8
TEXT_BYTES = 64
# what is looked at of instances to tell whether they are small
MOST_VALUES = 4096

_encoder = msgspec.json.Encoder()


class Captured(NamedTuple):
    """Values that nobody changes any more, and their size in memory, about."""

    values: dict[str, Array] | list[Any]
    truncated: bool
    size_bytes: int
    redaction: Redaction
    outputs: bool = False

    def json(self, most_bytes: int) -> str:
        """As JSON of at most so many bytes, with fewer rows where all would be too long."""
        found = self._plain()
        truncated = self.truncated
        while True:
            content = _encoder.encode({**found, TRUNCATED: True} if truncated else found)
            if len(content) <= most_bytes:
                return content.decode()
            found, truncated = _halved(found), True

    def _plain(self) -> dict[str, Any]:
        if not isinstance(self.values, dict):
            return {INSTANCES: [_plain(self.redaction.instance(row)) for row in self.values]}
        if self.outputs:
            # hidden ones were never captured
            return {name: _listed(array) for name, array in self.values.items()}
        return {
            name: self.redaction.tensor(name, _listed(array)) for name, array in self.values.items()
        }


def captured_inputs(
    inputs: Mapping[str, Array] | Instances, redaction: Redaction, most_bytes: int
) -> Captured:
    """A copy of the first rows of a request, as many as fit: a view would keep a whole body."""
    if isinstance(inputs, Instances):
        rows, size = _first_rows(inputs.rows)
        return Captured(rows, len(rows) < len(inputs.rows), size, redaction)
    hidden = {name for name in inputs if redaction.hides(name)}
    shown = {name: array for name, array in inputs.items() if name not in hidden}
    found = _copied(shown, most_bytes)
    empty = np.empty(0, np.bool_)
    values = {**found.values, **dict.fromkeys(hidden, empty)}
    return Captured(values, found.truncated, found.size_bytes, redaction)


def captured_outputs(
    response: InferenceResponse, redaction: Redaction, most_bytes: int
) -> Captured:
    """A copy of the first rows of an answer: a view would keep the whole run."""
    answer = response.answer
    outputs = {
        spec.name: answer.array(index)
        for spec, index in zip(response.specs, response.indices, strict=True)
        if not redaction.hides(spec.name)
    }
    found = _copied(outputs, most_bytes)
    return Captured(found.values, found.truncated, found.size_bytes, redaction, outputs=True)


class _Copies(NamedTuple):
    values: dict[str, Array]
    truncated: bool
    size_bytes: int


def _copied(arrays: Mapping[str, Array], most_bytes: int) -> _Copies:
    values, truncated, left = {}, False, most_bytes
    for name, array in arrays.items():
        kept = _first(array, max(0, left))
        truncated = truncated or kept.size < array.size
        left -= _size(kept)
        values[name] = kept
    return _Copies(values, truncated, most_bytes - left)


def _first(array: Array, most_bytes: int) -> Array:
    """A copy of the first rows; none where the first alone is too large."""
    rows = array.shape[0] if array.ndim else 1
    if not rows or not array.ndim:
        return array.copy()
    row_bytes = max(1, array.size // rows * NUMBER_BYTES)
    kept = array[: most_bytes // row_bytes]
    if kept.dtype == np.object_ and _size(kept) > most_bytes:
        kept = kept[: len(kept) * most_bytes // _size(kept)]
        if _size(kept) > most_bytes:
            kept = kept[:0]
    return kept.copy()


def _size(array: Array) -> int:
    if array.dtype != np.object_:
        return int(array.size * NUMBER_BYTES)
    return sum(TEXT_BYTES + len(value or b"") for value in array.ravel())


def _first_rows(rows: list[Any]) -> tuple[list[Any], int]:
    """As many rows as have few values, without looking at more than that; their size, about."""
    left = MOST_VALUES
    for number, row in enumerate(rows):
        left = _uncounted(row, left)
        if left < 0:
            return rows[:number], (MOST_VALUES + 1) * NUMBER_BYTES
    return rows, (MOST_VALUES - left) * TEXT_BYTES


def _uncounted(value: Any, left: int) -> int:
    """What is left of a number of values after this one; negative when they do not suffice."""
    if isinstance(value, str | bytes):
        return left - 1 - len(value) // TEXT_BYTES
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return left - 1
    if len(value) > left:
        return -1
    for member in value:
        left = _uncounted(member, left)
        if left < 0:
            return left
    return left


def _listed(array: Array) -> Any:
    if array.dtype.kind not in "biufOUS":
        # such as bfloat16, which Python has no number for
        array = array.astype(np.float32)
    values = array.tolist()
    # a look at every number would take six times as long as all the rest
    return _plain(values) if array.dtype.kind in "OS" else values


def _plain(value: Any) -> Any:
    """Without bytes, which JSON does not have."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return {_plain(name): _plain(member) for name, member in value.items()}
    return value


def _halved(found: Mapping[str, Any]) -> dict[str, Any]:
    """Half of the rows of each; nothing of what had one."""
    return {
        name: rows[: len(rows) // 2]
        for name, rows in found.items()
        if isinstance(rows, list) and len(rows) > 1
    }
