"""Treelite's interpreter of trees, by default one thread per run.

Options: `answers` and `classes`, see `tree_answers.py`. The file is Treelite's own binary format.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import treelite

from augurium.core import processors
from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.tree_answers import matrix_of, meaning_of, picked


class TreeliteModel:
    """One model of trees; runs may be concurrent, because nothing in it changes."""

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        self._meaning = meaning_of(options)
        self._threads = threads
        try:
            self._model = treelite.Model.deserialize(str(path))
            self._dtype = np.dtype(self._model.input_type)
        except (treelite.TreeliteError, TypeError, ValueError, OSError) as error:
            raise ModelFailed(f"Treelite cannot load {path.name}: {_first_line(error)}") from error

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        matrix = np.ascontiguousarray(matrix_of(inputs), self._dtype)
        if matrix.ndim != 2 or matrix.shape[1] != self._model.num_feature:
            # Treelite does not look, and would read beyond the rows
            raise ModelFailed(
                f"rows of {matrix.shape[1:]} features, expected {self._model.num_feature}"
            )
        try:
            raw = treelite.gtil.predict(self._model, matrix, nthread=self._most_threads())
        except (treelite.TreeliteError, TypeError, ValueError) as error:
            raise ModelFailed(f"the model failed: {_first_line(error)}") from error
        return picked(self._meaning.answers(raw), outputs)

    def _most_threads(self) -> int:
        """Treelite refuses more than the calling thread has processors, which change."""
        return self._threads if self._threads == 1 else min(self._threads, processors.usable_now())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
