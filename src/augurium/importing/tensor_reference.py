"""A framework's own answers to hard rows, for models that take tensors."""

import time
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec, is_float
from augurium.importing.conversion import RELATIVE_TOLERANCE, absolute_tolerance
from augurium.importing.parity import Tolerance, compare
from augurium.importing.pictures import pictures
from augurium.importing.table import Table
from augurium.importing.tensor_rows import (
    MAX_CELLS,
    TEXTS,
    Rows,
    hard_rows,
    holed_rows,
    plain_rows,
    row_cells,
    with_features,
)
from augurium.runtimes.runtime import LoadedModel

BATCH = 64
CASES = 4
MAX_ROWS = 512
MIN_ROWS = 3
REFERENCE_S = 4.0
MIN_CERTAIN_SHARE = 0.5
SCALE_PERCENTILE = 90
# rows asked alone, to see whether they depend on their neighbours, and rows of a case if they do
ALONE_ROWS = 32
CASE_ROWS = 3


class Precision(msgspec.Struct, frozen=True):
    """What two right answers may differ by, and the relative rounding error of an input.

    An `atol` above 0 counts in units of an output's usual size where that is above 1; otherwise the
    tolerances are those of single precision.
    """

    rtol: float = RELATIVE_TOLERANCE
    atol: float = 0.0
    rounding: float = 1e-6

    def absolute(self, name: str, values: Array) -> float:
        """The absolute tolerance of an output."""
        if not self.atol or not is_float(values.dtype):
            return absolute_tolerance(name, values)
        sizes = np.abs(values[np.isfinite(values)].astype(np.float64))
        usual = float(np.percentile(sizes, SCALE_PERCENTILE)) if len(sizes) else 0.0
        return self.atol * max(1.0, usual)


SINGLE = Precision()


class Reference(msgspec.Struct, kw_only=True):
    """Inputs and answers.

    The signature says also which numbers may be missing, and is without a batch dimension where
    rows depend on their neighbours. `rtol` and `atol` are empty for single precision.
    """

    signature: Signature
    inputs: Rows
    outputs: dict[str, Array]
    uncertain: dict[str, Array]
    rtol: dict[str, float] = {}
    atol: dict[str, float] = {}


def make_reference(
    model: LoadedModel,
    signature: Signature,
    examples: Mapping[str, Array],
    table: Table | None,
    precision: Precision = SINGLE,
) -> Reference:
    """Asks the framework for answers to hard rows.

    `examples` are inputs as the owner gave them, by name. Raises Unprocessable when the model
    answers next to none of the rows.
    """
    signature = with_features(signature, table)
    native = _Native(model, signature)
    elements = _elements(native, signature, examples, table)
    few = plain_rows(signature, examples, table, 2, elements)
    count = _count(native, signature, examples, few)
    plain = plain_rows(signature, examples, table, count, elements)
    hard = native.sensible(native.accepted(hard_rows(signature, plain)))
    signature, holed = _with_nullable(native, signature, plain)
    parts = [*holed, hard, native.accepted(plain)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in plain}
    if len(next(iter(rows.values()))) < MIN_ROWS:
        raise Unprocessable(
            f"the model answers almost none of the rows made up to check it ({native.refusal}); "
            "export it with example inputs, or send rows of the training data along (data=...; "
            'bytes are {"b64": "..."} in JSON)'
        )
    if signature.batched and not native.answers_rows_alone(rows, precision):
        signature, rows = _in_cases(signature, rows)
        native = _Native(model, signature)
    outputs = native.answers(rows)
    numbers = [
        name for name, answer in outputs.items() if precision.atol and is_float(answer.dtype)
    ]
    return Reference(
        signature=signature,
        inputs=rows,
        outputs=outputs,
        uncertain=_uncertain(native, rows, outputs, precision),
        rtol=dict.fromkeys(numbers, precision.rtol),
        atol={name: precision.absolute(name, outputs[name]) for name in numbers},
    )


class _Native:
    """The framework's model, asked in batches or case by case."""

    def __init__(self, model: LoadedModel, signature: Signature) -> None:
        self._model = model
        self._signature = signature
        self._names = [spec.name for spec in signature.outputs]
        self.refusal = "no row could be made up"

    def answers(self, rows: Rows) -> dict[str, Array]:
        count = len(next(iter(rows.values())))
        if self._signature.batched:
            starts = range(0, count, BATCH)
            parts = [self._run({n: v[s : s + BATCH] for n, v in rows.items()}) for s in starts]
            return {name: np.concatenate([part[name] for part in parts]) for name in self._names}
        cases = [self._run({n: v[case] for n, v in rows.items()}) for case in range(count)]
        return {name: np.stack([case[name] for case in cases]) for name in self._names}

    def accepted(self, rows: Rows) -> Rows:
        """The rows the model answers, found by halving."""
        positions = np.arange(len(next(iter(rows.values()))))
        waiting, taken = [positions], []
        while waiting:
            asked = waiting.pop()
            if self.takes({name: values[asked] for name, values in rows.items()}):
                taken.append(asked)
            elif len(asked) > 1 and len(taken) + len(waiting) < MAX_ROWS:
                waiting.extend(np.array_split(asked, 2)[::-1])
        chosen = np.concatenate(taken) if taken else np.empty(0, np.int64)
        return {name: values[chosen] for name, values in rows.items()}

    def sensible(self, rows: Rows) -> Rows:
        """The rows that have an answer in numbers: what was made up may have none."""
        if not len(next(iter(rows.values()))):
            return rows
        outputs = [o for o in self.answers(rows).values() if is_float(o.dtype)]
        count = len(next(iter(rows.values())))
        empty = np.zeros(count, bool)
        for values in outputs:
            empty |= np.isnan(values).reshape(count, -1).any(1)
        return {name: values[~empty] for name, values in rows.items()}

    def takes(self, rows: Rows) -> bool:
        try:
            self.answers(rows)
        except (ModelFailed, ValueError) as error:
            self.refusal = str(error)
            return False
        return True

    def answers_rows_alone(self, rows: Rows, precision: Precision) -> bool:
        """Whether rows get the same answers alone as among others."""
        few = {name: values[-ALONE_ROWS:] for name, values in rows.items()}
        together = self.answers(few)
        try:
            alone = [
                self._run({name: values[row : row + 1] for name, values in few.items()})
                for row in range(len(next(iter(few.values()))))
            ]
            found = {n: np.concatenate([answer[n] for answer in alone]) for n in self._names}
        except (ModelFailed, ValueError):
            return False
        return all(
            found[name].shape == together[name].shape
            and _agree(name, together[name], found[name], precision)
            for name in self._names
        )

    def _run(self, inputs: Rows) -> dict[str, Array]:
        return dict(zip(self._names, self._model.run(inputs, self._names), strict=True))


def _elements(
    native: _Native, signature: Signature, examples: Mapping[str, Array], table: Table | None
) -> Sequence[str | bytes]:
    """What BYTES are made of: texts, or pictures where the model takes these alone."""
    if table is not None or all(spec.datatype != "BYTES" for spec in signature.inputs):
        return TEXTS
    for elements in (TEXTS, pictures()):
        if native.takes(plain_rows(signature, examples, table, 2, elements)):
            return elements
    return TEXTS


def _count(native: _Native, signature: Signature, examples: Mapping[str, Array], few: Rows) -> int:
    """As many plain rows as the model answers in a few seconds."""
    if not signature.batched:
        return CASES
    native.takes(few)
    started = time.perf_counter()
    native.takes(few)
    seconds = (time.perf_counter() - started) / 2
    affordable = int(REFERENCE_S / max(seconds, 1e-6))
    room = MAX_CELLS // row_cells(signature, examples)
    return max(MIN_ROWS, min(MAX_ROWS, affordable, room))


def _with_nullable(
    native: _Native, signature: Signature, plain: Rows
) -> tuple[Signature, list[Rows]]:
    """Marks inputs as nullable where the framework makes numbers of missing ones."""
    specs: list[TensorSpec] = []
    holed: list[Rows] = []
    for spec in signature.inputs:
        rows = holed_rows(spec, plain) if spec.datatype in FLOATS else {}
        nullable = bool(rows) and native.takes(rows) and _all_numbers(native.answers(rows))
        specs.append(msgspec.structs.replace(spec, nullable=nullable))
        if nullable:
            holed.append(rows)
    return msgspec.structs.replace(signature, inputs=tuple(specs)), holed


def _all_numbers(outputs: dict[str, Array]) -> bool:
    return not any(np.isnan(values).any() for values in outputs.values() if is_float(values.dtype))


def _uncertain(
    native: _Native, rows: Rows, outputs: dict[str, Array], precision: Precision
) -> dict[str, Array]:
    """Masks of rows whose answer changes when the inputs change by a rounding error.

    Raises Unprocessable when too few rows are left to compare.
    """
    masks = {name: np.zeros(len(answer), bool) for name, answer in outputs.items()}
    for direction in (1, -1):
        nudged = {
            name: _nudged(values, direction * precision.rounding) for name, values in rows.items()
        }
        if not native.takes(nudged):
            continue
        for name, answer in native.answers(nudged).items():
            masks[name] |= _changed(name, outputs[name], answer, precision)
    for name, mask in masks.items():
        if 1 - mask.mean() < MIN_CERTAIN_SHARE:
            raise Unprocessable(
                f"output '{name}' cannot be checked: in {int(mask.sum())} of {len(mask)} rows the "
                "model's own answer changes with the last digits of the input, or from run to run"
            )
    return masks


def _in_cases(signature: Signature, rows: Rows) -> tuple[Signature, Rows]:
    """Several rows at a time as one case."""
    count = len(next(iter(rows.values()))) // CASE_ROWS
    cases = {
        name: values[: count * CASE_ROWS].reshape(count, CASE_ROWS, *values.shape[1:])
        for name, values in rows.items()
    }
    return msgspec.structs.replace(signature, batched=False), cases


def _nudged(values: Array, rounding: float) -> Array:
    if not is_float(values.dtype):
        return values
    changed: Array = (values.astype(np.float64) * (1 + rounding)).astype(values.dtype)
    return changed


def _agree(name: str, expected: Array, found: Array, precision: Precision) -> bool:
    if not is_float(expected.dtype):
        # labels may hang on the last digits
        return bool((expected != found).mean() < 1 - MIN_CERTAIN_SHARE)
    return not _changed(name, expected, found, precision).any()


def _changed(name: str, before: Array, after: Array, precision: Precision) -> Array:
    """Rows with labels that differ, or numbers that differ by more than engines may."""
    tolerance = Tolerance(precision.rtol, precision.absolute(name, before))
    mask = np.zeros(len(before), bool)
    mask[compare(before, after, mask.copy(), tolerance).differing] = True
    return mask
