"""The score of an answer: one number by which the answers of two versions can be compared."""

from augurium.core.inference import InferenceResponse

# made once: a union of types would be made for every answer
NUMBERS = (int, float)


def score_of(response: InferenceResponse) -> float | None:
    """The first number of the version's first output in the first row; None where that is a text,
    there is no row, or something else answered in place of the version.
    """
    if response.degraded:
        return None
    value = response.answer.first_value
    return float(value) if isinstance(value, NUMBERS) else None
