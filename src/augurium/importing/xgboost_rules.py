"""Which engines can serve an XGBoost model. Needs no XGBoost, and is asked before it reads a file.

What is refused was measured: the converter to ONNX is silently wrong for several outputs and for
rankers, fails for DART and others, and does not come to an end for categories with many levels.
"""

from augurium.core.errors import Unprocessable
from augurium.importing.xgboost_file import XgboostFile, inspect, read_document

MAX_LEVELS = 40
BINARY = "binary:logistic"
CLASSIFIERS = frozenset({BINARY, "multi:softprob", "multi:softmax"})
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
# their answer is one number per row, or one per target; none of them reaches the converter to ONNX
OTHERS = frozenset(
    {
        "binary:hinge",
        "binary:logitraw",
        "rank:map",
        "rank:ndcg",
        "rank:pairwise",
        "reg:expectileerror",
        "reg:logistic",
        "survival:aft",
        "survival:cox",
    }
)
KNOWN = CLASSIFIERS | REGRESSORS | OTHERS


def read_supported(content: bytes) -> XgboostFile:
    """What a saved model is; some engine can serve it.

    Raises Unprocessable for damaged files and for objectives that are not XGBoost's own.
    """
    found = inspect(read_document(content))
    if found.objective not in KNOWN:
        raise Unprocessable(
            f"the objective '{found.objective[:64]}' is not one of XGBoost's own, so what its "
            f"answers mean is not known; expected one of {', '.join(sorted(KNOWN))}"
        )
    return found


def wrong_in_onnx(found: XgboostFile) -> str:
    """Why the converter to ONNX would be silently wrong; empty if it is not known to be."""
    if found.vector_leaves:
        return "multi_output_tree keeps several outputs in one leaf"
    if found.objective.startswith("rank:"):
        return f"objective {found.objective} ranks rows against each other"
    if found.num_target > 1:
        return f"it has {found.num_target} outputs"
    return ""


def unsupported_in_onnx(found: XgboostFile) -> str:
    """Why the converter to ONNX would fail or not end; empty if it is not known to."""
    if found.booster == "dart":
        return "booster dart weighs its trees"
    if found.booster == "gblinear":
        return "booster gblinear is not made of trees"
    if found.objective not in CLASSIFIERS | REGRESSORS:
        return f"the converter does not know objective {found.objective}"
    for feature, levels in found.levels.items():
        if levels > MAX_LEVELS:
            name = found.feature_names[feature] if found.feature_names else f"f{feature}"
            return f"category '{name}' has {levels} levels, and converting ends for {MAX_LEVELS}"
    return ""


def unsupported_in_treelite(found: XgboostFile) -> str:
    """Why treelite cannot read the model; empty if it can."""
    return "booster gblinear is not made of trees" if found.booster == "gblinear" else ""
