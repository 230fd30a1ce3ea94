"""scikit-learn itself, one thread per run.

Options: `format`, `skops` or `pickle` (which runs the code of its file, and is only ever set where
that was allowed), and `rows`, the JSON of a `RowLayout`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
from sklearn import config_context

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.sklearn_answers import answers
from augurium.runtimes.sklearn_rows import RowLayout
from augurium.runtimes.sklearn_trusted import TRUSTED
from augurium.runtimes.skops_io import skops_io
from augurium.runtimes.tree_answers import picked

FORMATS = ("skops", "pickle")


class SklearnModel:
    """One fitted estimator; runs may be concurrent, because answering changes nothing in it."""

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        if set(options) != {"format", "rows"} or options["format"] not in FORMATS:
            raise InvalidArgument(
                f"options {dict(options)} are not those of scikit-learn; expected rows, and format "
                f"as one of {', '.join(FORMATS)}"
            )
        self._layout = msgspec.json.decode(options["rows"], type=RowLayout)
        try:
            self._model = _loaded(path, options["format"])
        except Exception as error:  # loading raises what the classes of the file raise
            raise ModelFailed(
                f"scikit-learn cannot load {path.name}: {type(error).__name__}: "
                f"{_first_line(error)}"
            ) from error
        _use_one_thread(self._model)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        rows = self._layout.split(inputs)
        try:
            with np.errstate(all="ignore"), config_context(assume_finite=False):
                found = answers(self._model, self._layout.frame(rows))
        except Exception as error:  # an estimator refuses rows with an error of any class
            raise ModelFailed(f"the model failed: {_first_line(error)}") from error
        return picked(found, outputs)


def _loaded(path: Path, kind: str) -> Any:
    if kind == "pickle":
        return joblib.load(path)
    return skops_io.load(path, trusted=list(TRUSTED))


def _use_one_thread(model: Any) -> None:
    for name, value in model.get_params(deep=True).items():
        if name.rpartition("__")[2] == "n_jobs" and value is not None:
            model.set_params(**{name: 1})


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
