"""Batches to answers. Rows that the model fails on are found by halving, and set aside alone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import pyarrow as pa

from augurium.batch.explanations import Explainer
from augurium.batch.partition import RejectedRow
from augurium.batch.row_batches import RowBatch
from augurium.batch.scorer import Scorer
from augurium.batch.stage_times import StageTimes
from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.runtime import DeviceLost

MODEL_FAILED = "model_failed"


class Answered(NamedTuple):
    """Rows with what the model says of them; `more` are contributions of features, if any."""

    batch: RowBatch
    outputs: dict[str, Array]
    more: dict[str, pa.Array]


class RowScoring:
    """Scores batches one after another. The model runs within the context that `during` makes of a
    batch; `reject` hears of every row that is set aside.
    """

    def __init__(
        self,
        scorer: Scorer,
        explainer: Explainer | None,
        times: StageTimes,
        during: Callable[[RowBatch], AbstractContextManager[None]],
        reject: Callable[[RejectedRow], None],
    ) -> None:
        self._scorer = scorer
        self._explainer = explainer
        self._times = times
        self._during = during
        self._reject = reject

    def answers(self, batch: RowBatch) -> Iterator[Answered]:
        """The answers to all rows that have one, in their order.

        Raises DeviceLost, after which nothing can be scored in this process.
        """
        try:
            answered = self.run(batch)
        except DeviceLost:
            raise
        except ModelFailed as error:
            if len(batch) == 1:
                (row,) = batch.rows.tolist()
                self._reject(RejectedRow(batch.file, row, "", MODEL_FAILED, str(error)))
                return
            for half in batch.halves():
                yield from self.answers(half)
        else:
            yield answered

    def run(self, batch: RowBatch) -> Answered:
        """The answers to a batch. Raises ModelFailed."""
        with self._times.of("prepare"):
            inputs = self._scorer.inputs(batch.columns)
        with self._during(batch), self._times.of("predict"):
            outputs = self._scorer.answers(inputs)
            more = {}
            if self._explainer is not None:
                (matrix,) = inputs.values()
                more = self._explainer.columns(matrix)
        return Answered(batch, outputs, more)
