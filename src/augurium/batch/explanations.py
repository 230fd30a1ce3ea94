"""What every feature contributed to an answer: by XGBoost and LightGBM themselves.

Contributions of a row add up to the model's raw score. Source: Lundberg et al., "From local
explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2,
2020, which both libraries compute exactly. Imports pyarrow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from augurium.batch.model_files import ModelFiles
from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array

PREFIX = "contribution_"
BASE = "contribution_base"


def contribution_names(features: Sequence[str]) -> list[str]:
    """What the columns are called."""
    return [PREFIX + feature for feature in features] + [BASE]


class Contributions(Protocol):
    """A model of trees that says of rows [n, features] what each feature contributed."""

    def of(self, rows: Array) -> Array:
        """Shape [n, scores, features + 1]; the last of each is what all rows have in common."""
        ...


def load_contributions(files: ModelFiles) -> Contributions:
    """Raises InvalidArgument for a runtime that tells no contributions, and ModelFailed."""
    if files.runtime not in KINDS:
        raise InvalidArgument(
            f"{files.runtime} tells no contributions; expected {' or '.join(KINDS)}"
        )
    return KINDS[files.runtime](Path(files.path))


class Explainer:
    """Contributions as columns: one per feature, and one for what all rows have in common.

    A value is a number, or a list of one for each score of a model that has several.
    """

    def __init__(self, contributions: Contributions, features: tuple[str, ...]) -> None:
        self._contributions = contributions
        self._names = contribution_names(features)
        # of no row at all, which tells how many scores there are
        scores = contributions.of(np.zeros((1, len(features)), np.float32)).shape[1]
        kind = pa.float32() if scores == 1 else pa.list_(pa.float32(), scores)
        self.fields = tuple(pa.field(name, kind) for name in self._names)

    def columns(self, rows: Array) -> dict[str, pa.Array]:
        """The columns of rows [n, features]. Raises ModelFailed."""
        found = self._contributions.of(rows)
        scores = found.shape[1]
        columns = {}
        for place, name in enumerate(self._names):
            values = pa.array(np.ascontiguousarray(found[:, :, place]).reshape(-1))
            columns[name] = (
                values if scores == 1 else pa.FixedSizeListArray.from_arrays(values, scores)
            )
        return columns


class XgboostContributions:
    def __init__(self, path: Path) -> None:
        import xgboost

        self._library: Any = xgboost
        self._booster = xgboost.Booster({"nthread": 1})
        try:
            self._booster.load_model(bytearray(path.read_bytes()))
        except (xgboost.core.XGBoostError, OSError) as error:
            raise ModelFailed(f"XGBoost cannot load {path.name}: {error}") from error
        self._booster.set_param({"nthread": 1})
        self._types = self._booster.feature_types
        self._booster.feature_names = None

    def of(self, rows: Array) -> Array:
        try:
            matrix = self._library.DMatrix(rows, feature_types=self._types, nthread=1)
            found: Array = self._booster.predict(
                matrix, pred_contribs=True, validate_features=False
            )
        except (self._library.core.XGBoostError, ValueError) as error:
            raise ModelFailed(f"XGBoost tells no contributions: {error}") from error
        return found.reshape(len(rows), -1, rows.shape[1] + 1)


class LightgbmContributions:
    def __init__(self, path: Path) -> None:
        import lightgbm

        self._library: Any = lightgbm
        try:
            self._booster = lightgbm.Booster(model_str=path.read_text("utf-8"))
        except (lightgbm.basic.LightGBMError, OSError) as error:
            raise ModelFailed(f"LightGBM cannot load {path.name}: {error}") from error

    def of(self, rows: Array) -> Array:
        try:
            found = self._booster.predict(rows, pred_contrib=True, num_threads=1)
        except (self._library.basic.LightGBMError, ValueError) as error:
            raise ModelFailed(f"LightGBM tells no contributions: {error}") from error
        narrow: Array = np.asarray(found, np.float32)
        return narrow.reshape(len(rows), -1, rows.shape[1] + 1)


KINDS: dict[str, type[XgboostContributions] | type[LightgbmContributions]] = {
    "xgboost": XgboostContributions,
    "lightgbm": LightgbmContributions,
}
