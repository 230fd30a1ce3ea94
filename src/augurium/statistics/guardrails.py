"""Guardrails: metrics that an experiment may not harm by more than a margin.

One-sided tests of non-inferiority whose limits hold at all times, so an experiment may be stopped
at once. They are not corrected for their number: more of them stop more often, which is the safe
side.
"""

from enum import StrEnum

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.statistics.confidence_sequences import one_sided_half_width
from augurium.statistics.estimates import Effect


class GuardrailState(StrEnum):
    """Whether the harm is below the margin, above it, or not known yet."""

    KEPT = "kept"
    BREACHED = "breached"
    OPEN = "open"


class Guardrail(msgspec.Struct, frozen=True):
    """What is known of the harm: each limit holds with 1 - alpha, at all times together."""

    state: GuardrailState
    least_harm: float
    most_harm: float


def guardrail(
    effect: Effect,
    margin: float,
    planned: float,
    higher_is_worse: bool = True,
    alpha: float = 0.05,
) -> Guardrail:
    """Holds an effect against the margin, in its unit: 0.05 is 5 % of a relative lift.

    `planned` is the number of units planned for all variants it compares. Raises InvalidArgument
    for a negative margin.
    """
    if not margin >= 0:
        raise InvalidArgument(f"the margin is {margin}; expected the harm that may be, 0 or more")
    harm = effect.value if higher_is_worse else -effect.value
    width = float(one_sided_half_width(effect.se, effect.n, planned, alpha))
    least, most = harm - width, harm + width
    if least > margin:
        state = GuardrailState.BREACHED
    else:
        state = GuardrailState.KEPT if most < margin else GuardrailState.OPEN
    return Guardrail(state, least, most)
