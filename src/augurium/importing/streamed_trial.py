"""The trial run of a version that gives several answers to a request."""

import time
from contextlib import closing
from itertools import zip_longest

import numpy as np

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing.job import OutputParity
from augurium.importing.parity import compare_with_itself
from augurium.runtimes.runtime import StreamingModel

# rows that are asked alone, and then together
ROWS = 3
# a stream need not end: what it gives up to here is looked at
MOST_ANSWERS = 64
STREAM_S = 5.0
FIRST_ANSWERS = 3

Answers = list[list[Array]]


def first_answers(
    model: StreamingModel, inputs: dict[str, Array], names: list[str], most: int = MOST_ANSWERS
) -> Answers:
    """The first answers to a request, as many as come in a few seconds; then the stream is closed.

    Raises ModelFailed when the model does.
    """
    found: Answers = []
    until = time.monotonic() + STREAM_S
    with closing(model.stream(inputs, names, {})) as answers:
        for answer in answers:
            if answer:
                found.append(answer)
            if len(found) >= most or time.monotonic() > until:
                break
    return found


class StreamedTrial:
    """A loaded model, its signature, and rows of its inputs."""

    batches = (1, ROWS)

    def __init__(
        self, model: StreamingModel, signature: Signature, inputs: dict[str, Array]
    ) -> None:
        self._model = model
        self._signature = signature
        self._names = [spec.name for spec in signature.outputs]
        known = len(next(iter(inputs.values())))
        self._rows = {name: values[np.arange(ROWS) % known] for name, values in inputs.items()}
        self.rows = ROWS

    def warm_up(self) -> None:
        """Begins a stream, so that all memory of one is taken."""
        self._ask(slice(0, 1), most=1)

    def against_itself(self) -> tuple[dict[str, OutputParity], bool]:
        """Asks for each row twice and compares the sequences; returns also whether every answer has
        a row per row of the request.

        Raises Unprocessable for an answer that is not the signature's.
        """
        pairs = []
        by_row = True
        for row in range(ROWS):
            asked = slice(row, row + 1)
            one, other = self._ask(asked), self._ask(asked)
            by_row = by_row and _all_have(1, one)
            pairs.append((one, other))
        try:
            by_row = by_row and _all_have(ROWS, self._ask(slice(0, ROWS)))
        except Unprocessable:
            by_row = False
        return {
            spec.name: self._agreement(place, pairs)
            for place, spec in enumerate(self._signature.outputs)
        }, by_row

    def latency_ms(self) -> dict[str, float]:
        """The median time to the first answer to a single row."""
        times = []
        for _ in range(FIRST_ANSWERS):
            started = time.perf_counter()
            self._ask(slice(0, 1), most=1)
            times.append(time.perf_counter() - started)
        return {"1": round(float(np.median(times)) * 1000, 4)}

    def _ask(self, rows: slice, most: int = MOST_ANSWERS) -> Answers:
        inputs = {name: values[rows] for name, values in self._rows.items()}
        try:
            answers = first_answers(self._model, inputs, self._names, most)
        except ModelFailed as error:
            raise Unprocessable(str(error)) from error
        for answer in answers:
            for spec, array in zip(self._signature.outputs, answer, strict=True):
                _check(spec, array)
        return answers

    def _agreement(self, place: int, pairs: list[tuple[Answers, Answers]]) -> OutputParity:
        """How far the second sequence of each pair is the first one again.

        A sampler may answer differently each time: that is told, not refused.
        """
        rows = different = 0
        largest = largest_share = 0.0
        for pair in pairs:
            for one, other in zip_longest(*pair):
                rows += 1
                if one is None or other is None or one[place].shape != other[place].shape:
                    # one was cut off by the clock, or they have different lengths
                    different += 1
                    continue
                parity = compare_with_itself(one[place], other[place]).parity
                different += bool(parity.different)
                largest = max(largest, parity.max_abs_error)
                largest_share = max(largest_share, parity.max_rel_error)
        return OutputParity(
            rows=rows, different=different, max_abs_error=largest, max_rel_error=largest_share
        )


def _all_have(rows: int, answers: Answers) -> bool:
    return all(len(array) == rows for answer in answers for array in answer)


def _check(spec: TensorSpec, found: Array) -> None:
    fits = found.dtype == spec.dtype and found.ndim == len(spec.shape)
    if not fits or any(e not in (-1, f) for e, f in zip(spec.shape, found.shape, strict=True)):
        raise Unprocessable(
            f"output '{spec.name}' came as {found.dtype} {list(found.shape)} in one answer, and as"
            f" {spec.dtype} {list(spec.shape)} in others; give every answer the same form"
        )
