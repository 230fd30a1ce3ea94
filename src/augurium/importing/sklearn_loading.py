"""Loading scikit-learn models.

Skops files with an allow-list of types, pickles where they are permitted.
"""

from pathlib import Path
from typing import Any

import joblib
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from augurium.core.errors import Unprocessable
from augurium.importing.formats import Format

# Beyond what skops trusts by itself (all public estimators, NumPy's and SciPy's functions): the
# parts fitted estimators are made of. None of them runs code of the file. A forged tree can crash
# the process that loads it, which is why this happens in a child.
TRUSTED = (
    "numpy.dtype",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csr.csr_matrix",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)


def load_model(file: Path, found: Format) -> Any:
    """The model in the file.

    Raises Unprocessable for types that are not trusted, named, and for damage.
    """
    if found is Format.PICKLE:
        return _from_pickle(file)
    try:
        return skops.io.load(file, trusted=list(TRUSTED))
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
