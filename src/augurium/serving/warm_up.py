"""Warm-up: a version answers here before it answers callers, so that the first of them pays for
nothing, run times are known, and one that cannot answer never replaces one that can.
"""

import time
from collections.abc import Callable, Sequence

import structlog

from augurium.core.errors import ModelFailed
from augurium.core.settings import WarmUpSettings
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.executor import RunLost, StreamExecutor, VersionExecutor
from augurium.serving.recorded_traffic import RecordedTraffic, is_sound
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.warm_up_samples import Samples, batch_of, made_up, real_samples

USUAL_SIZES = (1, 64)
MOST_SIZES_IN_USE = 3
RUNS = 3

log = structlog.get_logger()


class WarmUp:
    """Runs versions with what the settings and an engine's recent traffic give."""

    def __init__(
        self,
        settings: WarmUpSettings,
        traffic: RecordedTraffic,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._traffic = traffic
        self._now = now

    def run(self, executor: VersionExecutor, desired: DesiredVersion) -> None:
        """Everything: made-up rows, every real row alone, and the batch sizes in use. Blocking.

        Raises ModelFailed when real rows are not answered, or answered with what cannot be: wrong
        shapes and types, NaN where there was none. Made-up rows may be refused, for they may be
        ones that the model rightly refuses, such as unknown categories.
        """
        trial = self._trial(executor, desired)
        zeros = made_up(desired.signature)
        refused = trial.refusal_of(zeros)
        if refused:
            log.info(
                "made-up rows refused",
                model=desired.model,
                version=desired.version,
                reason=refused,
            )
        real = real_samples(desired, self._traffic)
        for samples in real:
            trial.alone(samples)
        for samples in real or ([] if refused else [zeros]):
            for rows in self._sizes(desired):
                trial.together(samples, rows)

    def run_briefly(self, executor: VersionExecutor, desired: DesiredVersion) -> None:
        """One row, for a version that has been through `run` on this machine. Raises as that."""
        self._trial(executor, desired).refusal_of(made_up(desired.signature))

    @property
    def now(self) -> float:
        """Seconds of the clock of deadlines."""
        return self._now()

    @property
    def timeout_s(self) -> float:
        return self._settings.timeout_s

    def _trial(self, executor: VersionExecutor, desired: DesiredVersion) -> "_Trial":
        deadline = self._now() + self._settings.timeout_s
        return _Trial(executor, desired.signature, deadline, self)

    def _sizes(self, desired: DesiredVersion) -> list[int]:
        """The numbers of rows of a run that are worth trying, small ones first."""
        if not desired.signature.batched or desired.signature.streamed:
            return [1]
        most = desired.batching.max_batch_size
        in_use = self._traffic.sizes(desired.model, MOST_SIZES_IN_USE)
        return sorted({min(size, most) for size in (*USUAL_SIZES, *in_use)})


class _Trial:
    """The runs of one warm-up, none of which begins after its deadline if it can be left out."""

    def __init__(
        self, executor: VersionExecutor, signature: Signature, deadline: float, warm_up: WarmUp
    ) -> None:
        self._executor = executor
        self._signature = signature
        self._deadline = deadline
        self._warm_up = warm_up
        # kinds whose rows all had a sound answer alone
        self._sound: dict[str, bool] = {}

    def refusal_of(self, samples: Samples) -> str:
        """Why the model does not answer the first of them; empty if it does."""
        try:
            self._answers(samples, samples.rows[0].inputs, 1)
        except _Refused as error:
            return str(error.__cause__)
        return ""

    def alone(self, samples: Samples) -> None:
        """Each row by itself, the first in any case."""
        found: list[bool] = []
        for sample in samples.rows:
            if found and self._late:
                break
            found.append(is_sound(self._answers(samples, sample.inputs, 1)))
            if sample.sound and not found[-1]:
                raise _failure(
                    samples.kind, "it answers NaN or infinity where the version before did not"
                )
        if not any(found):
            raise _failure(samples.kind, "it answers NaN or infinity to all of them")
        self._sound[samples.kind] = all(found)

    def together(self, samples: Samples, rows: int) -> None:
        """So many rows in one run, several times, as far as there is time."""
        inputs: Sequence[Array]
        inputs = batch_of(samples, rows) if self._signature.batched else samples.rows[0].inputs
        for _ in range(RUNS):
            if self._late:
                return
            try:
                outputs = self._answers(samples, inputs, rows)
            except _Refused:
                return
            if self._sound.get(samples.kind) and not is_sound(outputs):
                raise _failure(
                    samples.kind,
                    f"it answers NaN or infinity to {rows} rows together, not to each alone",
                )

    @property
    def _late(self) -> bool:
        return self._warm_up.now > self._deadline

    def _answers(self, samples: Samples, inputs: Sequence[Array], rows: int) -> list[Array]:
        """One run. Raises ModelFailed, of which _Refused is what made-up rows may bring."""
        executor, signature = self._executor, self._signature
        began = self._warm_up.now
        try:
            if signature.streamed and isinstance(executor, StreamExecutor):
                _begin_stream(executor, inputs)
                return []
            outputs = executor.run(inputs)
        except RunLost as error:
            raise _failure(samples.kind, str(error)) from error
        except ModelFailed as error:
            if samples.real:
                raise _failure(samples.kind, str(error)) from error
            raise _Refused from error
        took_s = self._warm_up.now - began
        if rows == 1 and took_s > self._warm_up.timeout_s:
            raise _failure(
                samples.kind,
                f"one row takes {took_s:.1f} s, more than the {self._warm_up.timeout_s:g} s of"
                " warm_up.timeout_s",
            )
        if len(outputs) != len(signature.outputs):
            wrong = f"it gave {len(outputs)} outputs, expected {len(signature.outputs)}"
            raise _failure(samples.kind, wrong)
        for spec, output in zip(signature.outputs, outputs, strict=True):
            wrong = _wrong(spec, output, rows if signature.batched else None)
            if wrong:
                raise _failure(samples.kind, wrong)
        return outputs


class _Refused(ModelFailed):
    """The model does not answer rows that nobody ever sent."""

    def __init__(self) -> None:
        super().__init__("made-up rows are refused")


def _failure(kind: str, why: str) -> ModelFailed:
    return ModelFailed(f"warm-up failed on {kind}: {why}")


def _wrong(spec: TensorSpec, output: Array, rows: int | None) -> str:
    """What is wrong with an output; empty if it is as the signature says."""
    if output.dtype != spec.dtype:
        return f"output '{spec.name}' came as {output.dtype}, expected {spec.dtype}"
    expected = spec.shape if rows is None else (rows, *spec.shape[1:])
    if output.ndim != len(expected) or any(
        e not in (-1, f) for e, f in zip(expected, output.shape, strict=True)
    ):
        return f"output '{spec.name}' has the shape {list(output.shape)}, expected {list(expected)}"
    return ""


def _begin_stream(executor: StreamExecutor, inputs: Sequence[Array]) -> None:
    """Waits for the first answer; there may be no last one."""
    stream = executor.open_stream(inputs, {})
    try:
        stream.take()
    finally:
        stream.stop()
        stream.finish()
