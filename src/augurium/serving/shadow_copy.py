"""The copy of a request for a shadow, with the answer that its caller was given, and what the two
answers have in common.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
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
from augurium.traffic.shadow_comparison import Outputs, compare
from augurium.traffic.shadow_sums import Example, OutputSums, ShadowSums

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


Ended = tuple[ShadowCopy, Given]


def counted(ended: Sequence[Ended]) -> ShadowSums:
    """The sums of some copies of one pair, which are compared together where they are alike."""
    first = ended[0][0]
    sums = ShadowSums(first.baseline, first.shadow.compare)
    alike: dict[object, list[Ended]] = {}
    for copy, answer in ended:
        sums.seen(copy.at)
        sums.ended(copy.given.outcome, answer.outcome)
        if copy.given.outcome == answer.outcome == "ok":
            sums.baseline_s.observe(copy.given.seconds)
            sums.shadow_s.observe(answer.seconds)
            alike.setdefault(_form(copy, answer), []).append((copy, answer))
    for group in alike.values():
        _compare(group, sums)
    return sums


def _form(copy: ShadowCopy, answer: Given) -> object:
    """Equal for copies whose outputs may stand in one array, one after the other."""
    outputs = [*copy.given.outputs.items(), *answer.outputs.items()]
    rows = len(outputs[0][1]) if copy.batched and outputs else -1
    if any(array.shape[:1] != (rows,) for _, array in outputs):
        return id(copy)
    return tuple((name, array.dtype, array.shape[1:]) for name, array in outputs)


def _compare(group: list[Ended], sums: ShadowSums) -> None:
    shadow, batched = group[0][0].shadow, group[0][0].batched
    before = _joined([copy.given.outputs for copy, _ in group])
    after = _joined([answer.outputs for _, answer in group])
    found = compare(before, after, batched, shadow.compare)
    sums.rows += len(found.output)
    sums.agreeing += found.agreeing
    for name, output in found.outputs.items():
        sums.outputs.setdefault(name, OutputSums()).add(output)
    if found.agreeing == len(found.output) or not shadow.examples:
        return
    stops = list(accumulate(_rows(copy) for copy, _ in group))
    worst = np.argsort(-found.difference, kind="stable")[: shadow.examples].tolist()
    examples = []
    for row in worst:
        if found.difference[row] > 0:
            place = bisect_right(stops, row)
            within = row - (stops[place - 1] if place else 0)
            difference = float(found.difference[row])
            examples.append(_example(group[place], within, difference, found.output[row]))
    sums.keep(examples, shadow.examples)


def _joined(outputs: list[Outputs]) -> Outputs:
    if len(outputs) == 1:
        return outputs[0]
    return {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}


def _rows(copy: ShadowCopy) -> int:
    return len(next(iter(copy.given.outputs.values()))) if copy.batched else 1


def _example(ended: Ended, row: int, difference: float, output: str) -> Example:
    copy, answer = ended
    return Example(
        difference,
        copy.at,
        output,
        _input(copy, row),
        _answer(copy.given.outputs, copy.batched, row),
        _answer(answer.outputs, copy.batched, row),
        copy.request.id,
    )


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
