"""The classification extension: an output as the best of its classes, each a text.

Source: Triton's "Classification Extension": `VALUE:INDEX`, or `VALUE:INDEX:LABEL` where the classes
have names, best first, `BYTES` of shape [rows, count].
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.tensors import Array, TensorSpec

PARAMETER = "classification"
MOST_CLASSES = 1_000_000


def wanted(output: str, count: object) -> int:
    """How many classes are asked of an output; `count` is its parameter. Raises InvalidArgument."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MOST_CLASSES:
        raise InvalidArgument(
            f"parameter 'classification' of output '{output[:128]}' must be the number of classes,"
            " 1 or more"
        )
    return count


def check(output: TensorSpec) -> None:
    """Raises InvalidArgument for an output that has no classes: one of texts."""
    if output.datatype == "BYTES":
        raise InvalidArgument(
            f"output '{output.name}' has texts; classification needs one with numbers"
        )


def classified(response: InferenceResponse, counts: Mapping[str, int]) -> InferenceResponse:
    """The response with each of these outputs as its `counts` best classes. Raises as `check`."""
    specs: list[TensorSpec] = []
    arrays: list[Array] = []
    for spec, index in zip(response.specs, response.indices, strict=True):
        array, count = response.answer.array(index), counts.get(spec.name)
        if count is not None:
            check(spec)
            array = _best(array, count, response.batched, spec.labels)
            spec = TensorSpec(spec.name, "BYTES", array.shape)
        specs.append(spec)
        arrays.append(array)
    answer = Answer(BatchOutputs(arrays), cache=response.answer.cache)
    places = range(len(specs))
    return msgspec.structs.replace(response, specs=specs, indices=places, answer=answer)


def _best(array: Array, count: int, batched: bool, labels: Sequence[str]) -> Array:
    count_rows = len(array) if batched else 1
    rows = array.reshape(count_rows, math.prod(array.shape[1:] if batched else array.shape))
    # of equal values the first; a missing value is the last of all
    values = np.nan_to_num(rows.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    names = [f":{label}" for label in labels] if len(labels) == rows.shape[1] else []
    texts = np.empty(order.shape, np.object_)
    for row, indices in enumerate(order.tolist()):
        found = rows[row].tolist()
        texts[row] = [
            f"{_value(found[index])}:{index}{names[index] if names else ''}" for index in indices
        ]
    return texts if batched else texts[0]


def _value(value: float | int | bool) -> str:
    return f"{value:f}" if isinstance(value, float) else str(int(value))
