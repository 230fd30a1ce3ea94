"""Candidates that Treelite serves. Imports treelite, therefore used in child processes only."""

from pathlib import Path
from typing import Any

import numpy as np
import treelite

from augurium.importing.conversion import Candidate
from augurium.runtimes import tree_answers
from augurium.runtimes.sklearn_answers import as_labels
from augurium.runtimes.tree_answers import Meaning

FILE = "model.treelite"


def write(model: Any, meaning: Meaning) -> Candidate:
    """Writes a Treelite model in its own binary format."""
    model.serialize(FILE)
    return Candidate(runtime="treelite", file=FILE, options=meaning.options())


def version() -> dict[str, str]:
    return {"treelite": str(treelite.__version__)}


def from_sklearn(model: Any) -> Candidate:
    """Writes an ensemble of trees of scikit-learn."""
    labels = as_labels(np.asarray(getattr(model, "classes_", []))).tolist()
    kind = tree_answers.NUMBERS
    if labels:
        boosts = "Boosting" in type(model).__name__
        # boosting of two classes gives one number, forests always give one per class
        kind = tree_answers.BINARY if boosts and len(labels) == 2 else tree_answers.MULTICLASS
    return write(treelite.sklearn.import_model(model), Meaning(kind, tuple(labels)))


def from_xgboost(file: Path) -> Any:
    """Reads a model that XGBoost saved; the suffix, .json or .ubj, tells which format."""
    choice = "json" if file.suffix == ".json" else "ubjson"
    return treelite.frontend.load_xgboost_model(file, format_choice=choice)


def from_lightgbm(file: Path) -> Any:
    """Reads a model that LightGBM saved as text."""
    return treelite.frontend.load_lightgbm_model(file)
