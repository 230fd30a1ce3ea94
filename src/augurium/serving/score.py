"""The score of an answer: one number by which the answers of two versions can be compared."""

from augurium.core.inference import InferenceResponse

NUMBERS = "fiub"


def score_of(response: InferenceResponse) -> float | None:
    """The first number of the version's first output in the first row; None where that is a text,
    there is no row, or something else answered in place of the version.
    """
    if response.degraded or not response.answer.size:
        return None
    values = response.answer.array(0)
    if values.dtype.kind not in NUMBERS or not values.size:
        return None
    return float(values.item(0))
