"""How many rows a model that is its own reference is asked for, fast or slow."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing import verify
from augurium.importing.reference import Reference, pack_all
from augurium.importing.verify import TrialRun

ROWS = 256
X, Y = TensorSpec("x", "FP32", (-1,)), TensorSpec("y", "FP32", (-1,))


class Model:
    """Adds something to every row, and takes its time."""

    def __init__(self, run_s: float = 0.0, in_batches: float = 0.0) -> None:
        self.sizes: list[int] = []
        self._run_s = run_s
        self._in_batches = in_batches

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        if self._run_s:
            time.sleep(self._run_s)
        rows = inputs["x"]
        self.sizes.append(len(rows))
        wrong = self._in_batches if len(rows) == 64 else 0.0
        return [rows + np.float32(1 + wrong)]


def trial_of(model: Model) -> TrialRun:
    inputs = pack_all({"x": np.arange(ROWS, dtype=np.float32)})
    return TrialRun(model, Signature((X,), (Y,)), Reference(inputs=inputs))


def test_a_fast_model_is_asked_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    # a machine that others use as well may not be fast
    monkeypatch.setattr(verify, "SMALL_BATCH_S", 600)
    model = Model()
    trial = trial_of(model)
    agreement, independent = trial.against_itself()
    assert independent
    assert trial.rows == agreement["y"].rows == ROWS
    assert model.sizes.count(64) == ROWS / 64


def test_a_slow_model_is_asked_for_few_rows_and_for_whole_batches_all_the_same() -> None:
    model = Model(run_s=0.25)
    trial = trial_of(model)
    agreement, independent = trial.against_itself()
    assert independent
    assert trial.rows < 16
    assert agreement["y"].rows == 64
    assert model.sizes.count(64) == 1
    assert len(model.sizes) < 40


def test_rows_that_depend_on_their_batch_are_found_in_a_slow_model_too() -> None:
    assert trial_of(Model(run_s=0.25, in_batches=1.0)).against_itself() == ({}, False)
