"""Units to variants: shares, independence, and as few moves as the weights allow."""

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from augurium.core.traffic_slots import SLOTS, SlotRun, rearranged
from augurium.traffic.assignment import Assignment

UNITS = [f"user-{number}" for number in range(20_000)]
# the 99.99th percentile of chi-square: one degree of freedom
CHI_SQUARE_1 = 15.14
# what every machine must say, for ever: another figure would move everybody's units
EXPECTED_SLOTS = [9515, 9468, 2784, 6695]


def _places(slots: tuple[SlotRun, ...]) -> list[str]:
    return [run.variant for run in slots for _ in range(run.slots)]


@st.composite
def _weights(draw: st.DrawFn) -> Mapping[str, int]:
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True))
    cuts = draw(st.lists(st.integers(0, SLOTS), min_size=len(names) - 1, max_size=len(names) - 1))
    stops = [0, *sorted(cuts), SLOTS]
    return {name: stop - start for name, (start, stop) in zip(names, pairwise(stops), strict=True)}


def test_a_unit_falls_into_the_same_slot_in_every_process_and_on_every_machine() -> None:
    found = Assignment("fraud", ())

    assert [found.slot(unit) for unit in ("user-1", "user-2", "Zoë", "")] == EXPECTED_SLOTS


def test_shares_are_those_of_the_weights() -> None:
    found = Assignment("fraud", rearranged((), {"v3": 9_000, "v4": 1_000}))

    counts = Counter(map(found.variant, UNITS))

    expected = len(UNITS) / 10
    chi_square = (counts["v4"] - expected) ** 2 / (expected * 0.9)
    assert chi_square < CHI_SQUARE_1


def test_assignments_with_different_salts_are_independent() -> None:
    halves = rearranged((), {"a": SLOTS // 2, "b": SLOTS // 2})
    one, other = Assignment("fraud", halves), Assignment("churn", halves)

    cells = Counter((one.variant(unit), other.variant(unit)) for unit in UNITS)

    rows = Counter(one.variant(unit) for unit in UNITS)
    columns = Counter(other.variant(unit) for unit in UNITS)
    expected = {(a, b): rows[a] * columns[b] / len(UNITS) for a in rows for b in columns}
    assert sum((cells[cell] - e) ** 2 / e for cell, e in expected.items()) < CHI_SQUARE_1


def test_a_variant_that_grows_takes_units_only_from_those_that_lose() -> None:
    before = rearranged((), {"a": 5_000, "b": 4_000, "c": 1_000})
    after = rearranged(before, {"a": 4_000, "b": 4_000, "c": 2_000})

    moves = Counter(
        (old, new) for old, new in zip(_places(before), _places(after), strict=True) if old != new
    )

    assert moves == {("a", "c"): 1_000}


@given(_weights(), _weights())
def test_a_change_gives_every_variant_its_weight_and_moves_no_more_than_what_is_lost(
    first: Mapping[str, int], second: Mapping[str, int]
) -> None:
    before = rearranged((), first)
    after = rearranged(before, second)

    old, new = _places(before), _places(after)
    lost = sum(max(0, count - second.get(name, 0)) for name, count in first.items())
    assert Counter(new) == +Counter(second)
    assert sum(a != b for a, b in zip(old, new, strict=True)) == lost


@given(_weights())
def test_the_same_weights_again_move_nobody(weights: Mapping[str, int]) -> None:
    before = rearranged((), weights)

    assert rearranged(before, weights) == before


def test_places_are_kept_while_there_is_no_split() -> None:
    before = rearranged((), {"a": 2_500, "b": 7_500})

    assert rearranged(before, {}) == before


def test_a_variant_begins_where_the_one_before_it_stops() -> None:
    slots = rearranged((), {"a": 2_500, "b": 7_500})
    found = Assignment("fraud", slots)
    stops = list(accumulate(run.slots for run in slots))

    for unit in UNITS[:2_000]:
        assert found.variant(unit) == ("a" if found.slot(unit) < stops[0] else "b")
