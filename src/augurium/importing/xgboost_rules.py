"""Which XGBoost models can be converted. Needs no XGBoost, and is asked before it reads a file.

What is refused was measured: the converter is silently wrong for several outputs and for rankers,
fails for DART and others, and does not come to an end for categories with many levels.
"""

from augurium.core.errors import Unprocessable
from augurium.importing.xgboost_file import XgboostFile, inspect, read_document

MAX_LEVELS = 40
CLASSIFIERS = frozenset({"binary:logistic", "multi:softprob", "multi:softmax"})
REGRESSORS = frozenset(
    {
        "count:poisson",
        "reg:absoluteerror",
        "reg:gamma",
        "reg:linear",
        "reg:pseudohubererror",
        "reg:quantileerror",
        "reg:squarederror",
        "reg:squaredlogerror",
        "reg:tweedie",
    }
)
LATER = "it needs an engine that is not part of this release"


def read_supported(content: bytes) -> XgboostFile:
    """What a saved model is; it can be converted.

    Raises Unprocessable for damaged files and for models that cannot be served yet.
    """
    found = inspect(read_document(content))
    reason = unsupported(found)
    if reason:
        raise Unprocessable(f"this XGBoost model cannot be served yet: {reason}; {LATER}")
    return found


def unsupported(found: XgboostFile) -> str:
    """Why a model cannot be converted; empty if it can."""
    if found.booster == "dart":
        return "booster dart weighs its trees"
    if found.booster == "gblinear":
        return "booster gblinear is not made of trees"
    if found.vector_leaves:
        return "multi_output_tree keeps several outputs in one leaf"
    if found.objective.startswith("rank:"):
        return f"objective {found.objective} ranks rows against each other"
    if found.num_target > 1:
        return f"it has {found.num_target} outputs, and one is supported"
    if found.objective not in CLASSIFIERS | REGRESSORS:
        return f"objective {found.objective} is not one of {sorted(CLASSIFIERS | REGRESSORS)}"
    for feature, levels in found.levels.items():
        if levels > MAX_LEVELS:
            name = found.feature_names[feature] if found.feature_names else f"f{feature}"
            return f"category '{name}' has {levels} levels, and at most {MAX_LEVELS} are supported"
    return ""
