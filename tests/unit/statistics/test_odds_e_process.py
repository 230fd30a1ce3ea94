"""Evidence that bad events are more likely in one arm."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.statistics.odds_e_process import (
    ODDS,
    OddsEProcess,
    advanced,
    log_evidence,
    weight_begun,
)

# events of the candidate, of both, and its share
TICKS = [(1, 10, 0.05), (2, 12, 0.05), (1, 9, 0.05), (6, 15, 0.05)]
SOME = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 200), st.floats(0, 1)).map(
        lambda tick: (tick[0], tick[0] + tick[1], tick[2])
    ),
    max_size=30,
)


def test_the_evidence_of_a_candidate_that_is_bad_from_the_start() -> None:
    process, found = OddsEProcess(at_the_start=1), []
    for events, of_both, share in TICKS:
        process = process.updated(events, of_both, share, 10)
        found.append(process.log_e)

    assert found == pytest.approx([-0.324986, 0.472157, 0.592214, 6.519242], abs=1e-5)
    assert [value >= math.log(100) for value in found] == [False, False, False, True]


def test_nothing_is_known_at_first_nor_where_only_one_arm_was_asked() -> None:
    process = OddsEProcess()
    for share in (0.0, 1.0):
        process = process.updated(5, 5, share, 10)

    assert process.log_e == pytest.approx(0, abs=1e-12)


def test_four_errors_beside_none_at_equal_shares_are_not_enough_and_twelve_are() -> None:
    assert OddsEProcess().updated(4, 4, 0.5, 60).log_e < math.log(100)
    assert OddsEProcess().updated(12, 12, 0.5, 60).log_e > math.log(100)


def test_a_change_after_a_good_hour_is_believed_as_one_at_the_start_is_not() -> None:
    process, from_the_start = OddsEProcess(), OddsEProcess(at_the_start=1)
    for tick in range(366):
        counts = (25, 120) if tick >= 360 else (5, 100)
        process = process.updated(*counts, 0.05, 10)
        from_the_start = from_the_start.updated(*counts, 0.05, 10)

    assert process.log_e > math.log(200)
    assert from_the_start.log_e < 0


@given(SOME)
def test_what_was_kept_has_the_same_future(ticks: list[tuple[int, int, float]]) -> None:
    process = kept = OddsEProcess()
    for tick in ticks:
        process = process.updated(*tick, 2.0)
        kept = msgspec.json.decode(msgspec.json.encode(kept.updated(*tick, 2.0)), type=OddsEProcess)

    assert kept == process
    assert math.isfinite(process.log_e)


def test_expected_evidence_of_a_candidate_that_is_no_worse_is_one() -> None:
    """Exactly, over all outcomes of three ticks: so no tick to look at is better than another."""
    share, of_both, total = 0.3, 4, 0.0
    weights = [math.comb(of_both, x) * share**x * (1 - share) ** (of_both - x) for x in range(5)]
    for outcome in np.ndindex(5, 5, 5):
        process = OddsEProcess()
        for events in outcome:
            process = process.updated(events, of_both, share, 300)
        total += math.prod(weights[x] for x in outcome) * math.exp(process.log_e)

    assert total == pytest.approx(1)


def test_two_thousand_hours_without_a_difference_alarm_in_at_most_one_of_a_hundred() -> None:
    """With weights that grow and bursts that strike both arms."""
    runs, rng, begun = 2000, np.random.default_rng(11), 0.0
    logs = np.full((runs, len(ODDS)), -np.inf)
    highest = np.zeros(runs)
    for tick in range(360):
        share = (0.01, 0.05, 0.25, 0.5)[tick // 90]
        rate = 0.002 * np.where(rng.random(runs) < 0.03, 20, 1)
        mine = rng.binomial(round(10_000 * share), rate)
        other = rng.binomial(round(10_000 * (1 - share)), rate)
        more = weight_begun(tick * 10.0)
        logs = advanced(logs, more - begun, mine, mine + other, share)
        begun = more
        highest = np.maximum(highest, log_evidence(logs, begun))

    assert np.mean(highest >= math.log(100)) <= 0.01
