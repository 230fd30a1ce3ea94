"""XGBoost itself, by default one thread per run.

Options: `answers` and `classes`, see `tree_answers.py`. The file is UBJSON or JSON as `save_model`
writes it, read and checked when it was imported.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.tree_answers import matrix_of, meaning_of, picked


class XgboostModel:
    """One booster. Trees answer in place, without a copy of the rows; predicting in place may run
    concurrently (XGBoost documentation, "Prediction", thread safety), and so does a matrix per run.
    """

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        self._meaning = meaning_of(options)
        self._threads = threads
        try:
            self._booster = xgboost.Booster({"nthread": threads})
            self._booster.load_model(bytearray(path.read_bytes()))
            # load_model takes the file's settings over
            self._booster.set_param({"nthread": threads})
            self._types = self._booster.feature_types
            self._booster.feature_names = None
            self._in_place = _booster_name(self._booster) != "gblinear"
        except (xgboost.core.XGBoostError, ValueError, OSError) as error:
            raise ModelFailed(f"XGBoost cannot load {path.name}: {_first_line(error)}") from error

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        matrix = np.ascontiguousarray(matrix_of(inputs), np.float32)
        try:
            raw = self._predict(matrix)
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise ModelFailed(f"the model failed: {_first_line(error)}") from error
        return picked(self._meaning.answers(raw), outputs)

    def _predict(self, matrix: Array) -> Array:
        if matrix.ndim != 2 or matrix.shape[1] != self._booster.num_features():
            # validation is off, so a wrong width would read beyond the rows
            raise ValueError(
                f"rows of {matrix.shape[1:]} features, expected {self._booster.num_features()}"
            )
        if self._in_place:
            # measured: 203 us for one row of 100 trees, 229 us with validation
            raw: Array = self._booster.inplace_predict(matrix, validate_features=False)
        else:
            rows = xgboost.DMatrix(matrix, feature_types=self._types, nthread=self._threads)
            raw = self._booster.predict(rows, validate_features=False)
        return raw


def _booster_name(booster: Any) -> str:
    settings = json.loads(booster.save_config())
    return str(settings["learner"]["gradient_booster"]["name"])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
