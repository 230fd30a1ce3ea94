"""LightGBM itself, by default one thread per run.

Options: `answers` and `classes`, see `tree_answers.py`. The file is LightGBM's text format, read
and checked when it was imported.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightgbm
import numpy as np

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.tree_answers import matrix_of, meaning_of, picked


class LightgbmModel:
    """One booster; runs may be concurrent, LightGBM holds a lock that readers share."""

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        self._meaning = meaning_of(options)
        self._threads = threads
        try:
            self._booster = lightgbm.Booster(model_str=path.read_text("utf-8"))
        except (lightgbm.basic.LightGBMError, ValueError, TypeError, OSError) as error:
            raise ModelFailed(f"LightGBM cannot load {path.name}: {_first_line(error)}") from error

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        matrix = np.ascontiguousarray(matrix_of(inputs))
        try:
            raw = self._booster.predict(matrix, num_threads=self._threads)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise ModelFailed(f"the model failed: {_first_line(error)}") from error
        return picked(self._meaning.answers(np.asarray(raw)), outputs)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
