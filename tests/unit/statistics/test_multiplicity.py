"""Several p-values at once, and guardrails."""

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.statistics.estimates import Effect, difference, proportion
from augurium.statistics.guardrails import GuardrailState, guardrail
from augurium.statistics.multiplicity import benjamini_hochberg, holm


def test_benjamini_hochberg_is_that_of_the_published_example() -> None:
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]

    expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216]
    assert benjamini_hochberg(p) == pytest.approx(expected, abs=1e-6)


def test_holm_steps_down_from_the_smallest() -> None:
    assert holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])


@pytest.mark.parametrize("adjusted", [holm, benjamini_hochberg])
def test_one_p_value_stays_and_none_gives_none(adjusted: type) -> None:
    assert adjusted([0.03]).tolist() == [0.03]
    assert adjusted([]).tolist() == []


def test_holm_keeps_the_chance_of_any_false_discovery() -> None:
    p = np.random.default_rng(9).uniform(size=(4000, 6))

    assert np.mean([holm(row).min() < 0.05 for row in p]) == pytest.approx(0.05, abs=0.012)


def test_a_p_value_above_one_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        holm([0.5, 1.5])


def errors(control: int, treatment: int, n: int) -> Effect:
    return difference(proportion(control, n), proportion(treatment, n))


@pytest.mark.parametrize(
    ("effect", "state"),
    [
        (errors(1000, 1500, 100_000), GuardrailState.BREACHED),
        (errors(1000, 1000, 1_000_000), GuardrailState.KEPT),
        (errors(10, 11, 1_000), GuardrailState.OPEN),
    ],
)
def test_a_guardrail_tells_kept_from_breached_from_not_known(
    effect: Effect, state: GuardrailState
) -> None:
    assert guardrail(effect, margin=0.001, planned=effect.n).state is state


def test_where_lower_is_worse_a_loss_breaches() -> None:
    loss = errors(60_000, 50_000, 100_000)

    assert guardrail(loss, 0.01, loss.n).state is GuardrailState.KEPT
    breached = guardrail(loss, 0.01, loss.n, higher_is_worse=False)
    assert breached.state is GuardrailState.BREACHED
    assert 0.01 < breached.least_harm < 0.1 < breached.most_harm


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="margin"):
        guardrail(errors(1, 2, 10), -0.1, 20)
