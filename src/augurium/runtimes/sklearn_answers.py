"""The outputs of a fitted scikit-learn estimator."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array


def answers(model: Any, frame: Any) -> dict[str, Array]:
    """Outputs by name: labels and probabilities of a classifier, else predictions.

    Raises whatever scikit-learn raises for rows it does not take.
    """
    if not is_classifier(model):
        prediction = np.asarray(model.predict(frame), np.float32)
        flat = prediction.reshape(-1) if prediction.shape[1:] in ((), (1,)) else prediction
        return {"prediction": flat}
    found = {"label": as_labels(np.asarray(model.predict(frame)))}
    if hasattr(model, "predict_proba"):
        found["probabilities"] = np.asarray(model.predict_proba(frame), np.float32)
    return found


def as_labels(labels: Array) -> Array:
    """Labels as texts or 64-bit integers. Raises Unprocessable for labels that are neither."""
    if labels.dtype.kind in "OU":
        if not all(isinstance(label, str) for label in labels.ravel()):
            raise Unprocessable(
                "the classes mix texts and other values; expected texts or integers"
            )
        found = np.empty(labels.shape, np.object_)
        found[:] = [str(label) for label in labels]
        return found
    integers = labels.astype(np.int64)
    if (integers != labels).any():
        raise Unprocessable("the classes are fractions; expected texts or integers")
    return integers
