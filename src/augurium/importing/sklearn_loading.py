"""Loading scikit-learn models.

Skops files with an allow-list of types, pickles where they are permitted.
"""

from pathlib import Path
from typing import Any

import joblib
import skops

from augurium.core.errors import Unprocessable
from augurium.importing.formats import Format
from augurium.runtimes.sklearn_trusted import TRUSTED
from augurium.runtimes.skops_io import skops_io

UntrustedTypesFoundException = skops_io.exceptions.UntrustedTypesFoundException


def load_model(file: Path, found: Format) -> Any:
    """The model in the file.

    Raises Unprocessable for types that are not trusted, named, and for damage.
    """
    if found is Format.PICKLE:
        return _from_pickle(file)
    try:
        return skops_io.load(file, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise Unprocessable(
            "the skops file holds types that are not on the list of known safe ones: "
            f"{_first_line(error)} Save only what predicts (of a search: best_estimator_), use "
            "transformers and functions of scikit-learn, or export to ONNX"
        ) from error
    except (
        Exception
    ) as error:  # whatever scikit-learn raises for a file of another version or a damaged one
        raise Unprocessable(
            f"the skops file cannot be loaded: {type(error).__name__}: {error}; save it again with "
            f"skops {skops.__version__} and the scikit-learn of this server"
        ) from error


def _from_pickle(file: Path) -> Any:
    try:
        return joblib.load(file)
    except Exception as error:  # a pickle runs what it likes and raises what it likes
        raise Unprocessable(
            f"the pickle cannot be loaded: {type(error).__name__}: {error}; save the model with "
            "skops"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
