"""The trial run of a servable file, in a fresh process and with the very runtime that serves it."""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from augurium.core.errors import AuguriumError, Unprocessable
from augurium.core.process_memory import MemoryGrowth, resident_bytes
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing.job import OutputParity, Verified, VerifyJob
from augurium.importing.parity import (
    Comparison,
    Mismatch,
    Tolerance,
    compare,
    compare_with_itself,
)
from augurium.importing.reference import Reference, read_reference, unpack, unpack_all
from augurium.importing.streamed_trial import StreamedTrial
from augurium.runtimes.runtime import LoadedModel, StreamingModel, load, prepare

BATCHES = (64, 3, 1)
# a fault that shows in small batches only shows in the hard rows, which come first
SMALL_BATCH_ROWS = 600
SMALL_BATCH_S = 2.0
# of a model that is its own reference, alone and in a batch, however slow it is
LEAST_ROWS = 8
TIMED_BATCHES = (1, 64, 1024)
TIMED_S = 0.2
MAX_TIMED_RUNS = 50
MAX_TIMED_MS = 3000.0
MAX_TIMED_BYTES = 512 * 1024**2
SHOWN_CHARACTERS = 400

Tensors = dict[str, Array]


class TrialRun:
    """A loaded servable file, its signature and the reference."""

    def __init__(self, model: LoadedModel, signature: Signature, reference: Reference) -> None:
        self._model = model
        self._signature = signature
        self._reference = reference
        self._inputs = unpack_all(reference.inputs)
        self.rows = len(next(iter(self._inputs.values())))
        self.batches = tuple(sorted(BATCHES)) if signature.batched else (1,)

    def warm_up(self) -> None:
        """Runs a usual batch, or one whole case, so that all memory of a run is taken."""
        count = BATCHES[0] if self._signature.batched else 1
        inputs = {name: values[:count] for name, values in self._inputs.items()}
        if not self._signature.batched:
            inputs = {name: values[0] for name, values in inputs.items()}
        with contextlib.suppress(AuguriumError, ValueError):
            # whatever is wrong is found again, and said, by the comparison
            self._run(inputs)

    def against_reference(self) -> dict[str, OutputParity]:
        """Compares with the other framework's answers.

        Raises Unprocessable for the first difference.
        """
        expected = unpack_all(self._reference.outputs or {})
        agreement: dict[str, OutputParity] = {}
        for batch in BATCHES:
            count = self.rows if batch == BATCHES[0] else self._affordable_rows(batch)
            found = self._in_batches(batch, count)
            for spec in self._signature.outputs:
                result = self._compare(spec.name, expected[spec.name][:count], found[spec.name])
                if len(result.differing):
                    raise self._mismatch(spec.name, result, batch)
                agreement.setdefault(spec.name, result.parity)
        return agreement

    def against_itself(self) -> tuple[dict[str, OutputParity], bool]:
        """Compares rows in batches with the same rows alone; returns whether they agree.

        Raises Unprocessable when rows alone do not run.
        """
        agreement: dict[str, OutputParity] = {}
        try:
            self.rows = self._affordable_rows(1, LEAST_ROWS)
            alone = self._in_batches(1, self.rows)
        except (_RowsLost, ValueError):
            return {}, False
        for batch in BATCHES:
            try:
                found = self._in_batches(batch, max(batch, self.rows))
            except (AuguriumError, ValueError):
                return {}, False
            # of a slow model the same rows stand several times in a batch
            same = np.arange(max(batch, self.rows)) % self.rows
            for spec in self._signature.outputs:
                result = compare_with_itself(alone[spec.name][same], found[spec.name])
                if len(result.differing):
                    return {}, False
                agreement.setdefault(spec.name, result.parity)
        return agreement, True

    def whole_cases(self) -> dict[str, OutputParity]:
        """Runs every case of a model without a batch dimension.

        Compares with the other framework's answers, or else with a second run. Raises Mismatch for
        the first difference from a framework.
        """
        cases = [
            {name: values[case] for name, values in self._inputs.items()}
            for case in range(self.rows)
        ]
        found = [self._run(inputs) for inputs in cases]
        if self._reference.outputs is not None:
            return self._cases_against_reference(found)
        agreement = {}
        for inputs, first in zip(cases, found, strict=True):
            second = self._run(inputs)
            for spec in self._signature.outputs:
                one, other = np.atleast_1d(first[spec.name]), np.atleast_1d(second[spec.name])
                agreement[spec.name] = compare_with_itself(one, other).parity
        return agreement

    def _cases_against_reference(self, found: list[Tensors]) -> dict[str, OutputParity]:
        agreement = {}
        for name, expected in unpack_all(self._reference.outputs or {}).items():
            answers = np.stack([tensors[name] for tensors in found])
            if answers.shape != expected.shape:
                raise Mismatch(
                    f"the converted model is wrong: output '{name}' has the shape "
                    f"{list(answers.shape[1:])}, that of {self._reference.original} "
                    f"{list(expected.shape[1:])}"
                )
            result = self._compare(name, expected, answers)
            if len(result.differing):
                raise self._mismatch(name, result, 1)
            agreement[name] = result.parity
        return agreement

    def latency_ms(self) -> dict[str, float]:
        """Median time of a run by batch size; of one whole case without a batch dimension.

        Ends before a batch that would take too long or too much memory, going by the one before.
        """
        if not self._signature.batched:
            case = {name: values[0] for name, values in self._inputs.items()}
            return {"1": _median_ms(partial(self._run, case))}
        timed: dict[str, float] = {}
        for batch, larger in pairwise((*TIMED_BATCHES, 0)):
            positions = np.arange(batch) % self.rows
            inputs = {name: values[positions] for name, values in self._inputs.items()}
            growth_of_run = MemoryGrowth()
            try:
                timed[str(batch)] = _median_ms(partial(self._run, inputs))
            except AuguriumError:
                # rows that run alone may not run together; that is reported as row dependence
                break
            growth = larger / batch
            takes_ms, takes_bytes = timed[str(batch)], growth_of_run.bytes()
            if growth * takes_ms > MAX_TIMED_MS or growth * takes_bytes > MAX_TIMED_BYTES:
                break
        return timed

    def _affordable_rows(self, batch: int, least: int = BATCHES[0]) -> int:
        """How many rows a slow model can be asked for in small batches, `least` at any rate."""
        started = time.perf_counter()
        self._run({name: values[:batch] for name, values in self._inputs.items()})
        runs = int(SMALL_BATCH_S / (time.perf_counter() - started))
        return min(self.rows, SMALL_BATCH_ROWS, max(least, runs * batch))

    def _in_batches(self, batch: int, count: int) -> Tensors:
        parts = []
        for start in range(0, count, batch):
            places = np.arange(start, min(start + batch, count)) % self.rows
            parts.append(self._run({n: values[places] for n, values in self._inputs.items()}))
        joined = {
            spec.name: np.concatenate([part[spec.name] for part in parts])
            for spec in self._signature.outputs
        }
        return {name: values[:count] for name, values in joined.items()}

    def _run(self, inputs: Tensors) -> Tensors:
        names = [spec.name for spec in self._signature.outputs]
        found = dict(zip(names, self._model.run(inputs, names), strict=True))
        rows = len(next(iter(inputs.values()))) if self._signature.batched else None
        for spec in self._signature.outputs:
            _check_output(spec, found[spec.name], rows)
        return found

    def _compare(self, name: str, expected: Array, found: Array) -> Comparison:
        count = len(found)
        uncertain = self._reference.uncertain.get(name)
        mask = np.zeros(count, bool) if uncertain is None else unpack(uncertain)[:count]
        tolerance = Tolerance(
            self._reference.rtol.get(name, 0.0), self._reference.atol.get(name, 0.0)
        )
        return compare(expected[:count], found, mask, tolerance)

    def _mismatch(self, name: str, result: Comparison, batch: int) -> Mismatch:
        parity, row = result.parity, int(result.differing[0])
        difference = (
            f" (largest difference {parity.max_abs_error:.3g}, allowed {parity.atol:.1g} + "
            f"{parity.rtol:.1g} of the value)"
            if parity.max_abs_error
            else ""
        )
        shown = ", ".join(f"{key}={values[row]}" for key, values in self._inputs.items())
        return Mismatch(
            f"the converted model is wrong: output '{name}' differs from "
            f"{self._reference.original} in {parity.different} of {parity.rows} rows at batch size "
            f"{batch}{difference}; first for {shown[:SHOWN_CHARACTERS]}"
        )


def verify(job: VerifyJob) -> Verified:
    """Loads the servable file, checks its answers, and measures it.

    Raises Unprocessable for answers that differ, ModelFailed when the file does not load or run.
    """
    reference = read_reference(Path(job.reference))
    # what the framework itself takes is shared by all models of a process, and not this one's
    prepare(job.runtime)
    growth, started = MemoryGrowth(), time.perf_counter()
    weights = Path(job.weights) if job.weights else None
    model = load(job.runtime, Path(job.model), job.options, weights)
    load_ms = (time.perf_counter() - started) * 1000
    trial: TrialRun | StreamedTrial
    if isinstance(model, StreamingModel) and job.signature.streamed:
        trial = StreamedTrial(model, job.signature, unpack_all(reference.inputs))
    else:
        trial = TrialRun(model, job.signature, reference)
    trial.warm_up()
    memory_bytes = growth.bytes()
    independent = True
    if isinstance(trial, StreamedTrial):
        outputs, independent = trial.against_itself()
    elif not job.signature.batched:
        outputs = trial.whole_cases()
    elif reference.outputs is not None:
        outputs = trial.against_reference()
    else:
        outputs, independent = trial.against_itself()
    return Verified(
        outputs=outputs,
        batches=trial.batches,
        rows=trial.rows,
        row_independent=independent,
        latency_ms=trial.latency_ms(),
        load_ms=round(load_ms, 2),
        memory_bytes=memory_bytes,
        process_bytes=resident_bytes(),
        versions=_version(job.runtime),
    )


def _version(runtime: str) -> dict[str, str]:
    package = "onnxruntime" if runtime == "onnx" else runtime
    version = getattr(sys.modules.get(package), "__version__", None)
    return {package: str(version)} if version else {}


class _RowsLost(Unprocessable):
    """There came more or fewer rows than were sent."""


def _check_output(spec: TensorSpec, found: Array, rows: int | None) -> None:
    expected = spec.shape
    fits = found.dtype == spec.dtype and found.ndim == len(expected)
    if not fits or any(e not in (-1, f) for e, f in zip(expected, found.shape, strict=True)):
        raise Unprocessable(
            f"output '{spec.name}' came as {found.dtype} {list(found.shape)}, expected "
            f"{spec.dtype} {list(expected)}: the graph declares what it does not do; export it "
            "again"
        )
    if rows is not None and len(found) != rows:
        raise _RowsLost(f"output '{spec.name}' has {len(found)} rows for {rows} rows of input")


def _median_ms(run: Callable[[], object]) -> float:
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < MAX_TIMED_RUNS and time.perf_counter() - started < TIMED_S:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return round(median(times) * 1000, 4)
