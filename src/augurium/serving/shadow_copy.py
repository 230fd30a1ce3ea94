"""The copy of a request for a shadow, with the answer that its caller was given, and what the two
answers have in common.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from augurium.core.identifiers import ModelRef
from augurium.core.inference import Answer, InferenceRequest, Instances
from augurium.core.priority import Priority
from augurium.core.shadow import Shadow
from augurium.core.signature import Signature
from augurium.core.tensors import BFLOAT16, Array
from augurium.serving.described_version import DescribedVersion
from augurium.traffic.shadow_comparison import Compared, Outputs, compare
from augurium.traffic.shadow_sums import Example, ShadowSums

# an object of the interpreter for each value of an instance
INSTANCE_FACTOR = 8
TEXT_BYTES = 64
# of an example
LONGEST_INPUT, LONGEST_ANSWER = 1000, 300
MOST_VALUES = 64
CUT = "…"


class Given(NamedTuple):
    """What was answered: `ok` with the outputs by name, or an error kind with none; in how many
    seconds.
    """

    outcome: str
    outputs: Outputs
    seconds: float


class ShadowCopy(NamedTuple):
    """A request for a shadow, and what the version `baseline` had given for it, at a time of the
    wall clock; `size_bytes` is what both take.
    """

    shadow: Shadow
    request: InferenceRequest
    baseline: int
    batched: bool
    given: Given
    at: float
    size_bytes: int


def size_of(request: InferenceRequest, answer: Answer | None) -> int:
    """What a copy of them takes, about."""
    outputs = [answer.array(index) for index in range(answer.size)] if answer else []
    inputs = request.inputs
    if not isinstance(inputs, Instances):
        return sum(map(_size, (*inputs.values(), *outputs)))
    rows = inputs.rows
    row_bytes = len(msgspec.json.encode(rows[0])) * INSTANCE_FACTOR if rows else 0
    return len(rows) * row_bytes + sum(map(_size, outputs))


def given(version: DescribedVersion, answer: Answer | None, outcome: str, seconds: float) -> Given:
    """What a version answered; copied, because the arrays are views of more."""
    outputs = {} if answer is None else outputs_of(version.signature, answer)
    return Given(outcome, {name: array.copy() for name, array in outputs.items()}, seconds)


def outputs_of(signature: Signature, answer: Answer) -> dict[str, Array]:
    """The arrays of an answer by name."""
    return {spec.name: answer.array(index) for index, spec in enumerate(signature.outputs)}


def request_for(shadow: Shadow, request: InferenceRequest, deadline: float) -> InferenceRequest:
    """The request as a shadow is asked it; its tensors may be views of what was received, so they
    are copied.
    """
    inputs = request.inputs
    if not isinstance(inputs, Instances):
        inputs = {name: array.copy() for name, array in inputs.items()}
    return InferenceRequest(
        ModelRef(request.model.name, shadow.version),
        inputs,
        deadline,
        request.id,
        parameters=request.parameters,
        priority=Priority.BATCH,
    )


def counted(copy: ShadowCopy, answer: Given) -> ShadowSums:
    """The sums of one copy."""
    before = copy.given
    sums = ShadowSums(copy.baseline, copy.shadow.compare)
    sums.seen(copy.at)
    sums.ended(before.outcome, answer.outcome)
    if not sums.answered:
        return sums
    sums.baseline_s.observe(before.seconds)
    sums.shadow_s.observe(answer.seconds)
    found = compare(before.outputs, answer.outputs, copy.batched, copy.shadow.compare)
    sums.rows, sums.agreeing, sums.outputs = len(found.output), found.agreeing, found.outputs
    if sums.agreeing < sums.rows and copy.shadow.examples:
        sums.keep(_examples(copy, answer.outputs, found), copy.shadow.examples)
    return sums


def _examples(copy: ShadowCopy, outputs: Outputs, found: Compared) -> list[Example]:
    worst = np.argsort(-found.difference, kind="stable")[: copy.shadow.examples].tolist()
    return [
        Example(
            float(found.difference[row]),
            copy.at,
            found.output[row],
            _input(copy, row),
            _answer(copy.given.outputs, copy.batched, row),
            _answer(outputs, copy.batched, row),
            copy.request.id,
        )
        for row in worst
        if found.difference[row] > 0
    ]


def _input(copy: ShadowCopy, row: int) -> str:
    inputs = copy.request.inputs
    if isinstance(inputs, Instances):
        return _text(inputs.rows[row] if copy.batched else inputs.rows, LONGEST_INPUT)
    return _text(_row(inputs, copy.batched, row), LONGEST_INPUT)


def _answer(outputs: Outputs, batched: bool, row: int) -> str:
    return _text(_row(outputs, batched, row), LONGEST_ANSWER)


def _row(arrays: Mapping[str, Array], batched: bool, row: int) -> dict[str, Any]:
    return {
        name: _values(array[row : row + 1][0] if batched and row < len(array) else array)
        for name, array in arrays.items()
    }


def _values(array: Any) -> Any:
    """The values as lists; of many the first, and the shape of all."""
    array = np.asarray(array)
    if array.dtype == BFLOAT16:
        array = array.astype(np.float32)
    if array.size <= MOST_VALUES:
        found = array.tolist()
        return found[0] if isinstance(found, list) and len(found) == 1 else found
    return {"shape": array.shape, "first": array.ravel()[:MOST_VALUES].tolist()}


def _text(value: Any, longest: int) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= longest else text[:longest] + CUT


def _size(array: Array) -> int:
    if array.dtype != np.object_:
        return array.nbytes
    return sum(TEXT_BYTES + (len(value) if value is not None else 0) for value in array.ravel())
