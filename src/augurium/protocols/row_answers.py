"""Answers to requests of rows, whatever their number."""

from collections.abc import Iterator
from contextlib import aclosing

from augurium.core.errors import AuguriumError
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse, Instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.bulk import BulkRequest
from augurium.serving.plane import DataPlane

Inputs = dict[str, Array] | Instances


async def answer_rows(plane: DataPlane, request: InferenceRequest) -> list[InferenceResponse]:
    """The answer in one part, or in several for more rows than the version takes at once.

    Raises as `DataPlane.infer`.
    """
    if not are_many(plane, request.model, request.inputs):
        return [await plane.infer(request)]
    bulk = BulkRequest(
        request.model,
        _Whole(request.inputs),
        request.deadline,
        outputs=request.outputs,
        parameters=request.parameters,
        priority=request.priority,
        header=request.header,
        prediction_id=request.prediction_id,
    )
    async with aclosing(plane.batches(bulk)) as batches:
        return [response async for response in batches]


def are_many(plane: DataPlane, model: ModelRef, inputs: Inputs) -> bool:
    """Whether these are more rows than the version takes at once; False for versions that take no
    rows.
    """
    rows = _row_count(inputs)
    if rows <= 1:
        return False
    try:
        version = plane.asked(model)
    except AuguriumError:
        # who asks for an answer is told
        return False
    signature = version.signature
    takes_rows = signature.batched and not signature.streamed
    return takes_rows and rows > plane.most_rows(model)


class _Whole:
    """All rows as one block."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def blocks(self, _: Signature, _batch_rows: int) -> Iterator[Inputs]:
        yield self._inputs


def _row_count(inputs: Inputs) -> int:
    if isinstance(inputs, Instances):
        return len(inputs.rows)
    return max((len(array) for array in inputs.values() if array.ndim), default=0)
