"""Sums that add up: parts in any order are as the whole."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.shadow import MOST_EXAMPLES, Comparison
from augurium.statistics.log_counts import LogCounts
from augurium.traffic.shadow_sums import (
    MOST_PAIRS,
    Example,
    OutputSums,
    ShadowSums,
    add_pairs,
    sums_of,
)

KINDS = st.sampled_from(["ok", "model_failed", "deadline_exceeded"])
# eighths add up without rounding, in any order
EIGHTHS = st.integers(0, 800).map(lambda number: number / 8)


class Seen(msgspec.Struct, frozen=True):
    """One copy, as it is counted."""

    baseline: int
    kinds: tuple[str, str]
    difference: float
    labels: tuple[str, str]
    at: float


SEEN = st.builds(
    Seen,
    st.integers(1, 3),
    st.tuples(KINDS, KINDS),
    EIGHTHS,
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc")),
    EIGHTHS.map(lambda number: number + 1),
)


def counted(copies: list[Seen]) -> list[ShadowSums]:
    pairs: list[ShadowSums] = []
    for copy in copies:
        sums = sums_of(pairs, copy.baseline, Comparison())
        sums.seen(copy.at)
        sums.ended(*copy.kinds)
        if copy.kinds != ("ok", "ok"):
            sums.drop(copy.kinds[1])
            continue
        output = OutputSums(rows=1, values=1, total=copy.difference, largest=copy.difference)
        output.differences.observe(copy.difference)
        output.count_labels(*copy.labels, 1)
        sums.rows += 1
        sums.agreeing += copy.difference == 0
        sums.outputs.setdefault("y", OutputSums()).add(output)
        sums.baseline_s.observe(copy.difference)
        sums.shadow_s.observe(copy.at)
        sums.keep([Example(copy.difference, copy.at, "y", "{}", *copy.labels)])
    return pairs


def in_order(pairs: list[ShadowSums]) -> list[ShadowSums]:
    return sorted(pairs, key=lambda sums: sums.baseline)


@given(st.lists(SEEN, max_size=40), st.data())
def test_parts_add_up_to_the_whole(copies: list[Seen], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(copies)))
    total: list[ShadowSums] = []
    for part in (copies[place:], copies[:place]):
        add_pairs(total, counted(part))
    assert in_order(total) == in_order(counted(copies))


@given(st.lists(SEEN, max_size=20))
def test_sums_survive_the_link(copies: list[Seen]) -> None:
    pairs = counted(copies)
    wire = msgspec.msgpack.encode(pairs)
    assert msgspec.msgpack.decode(wire, type=list[ShadowSums]) == pairs


def test_examples_are_the_largest_differences() -> None:
    sums = ShadowSums(1)
    for number in range(100):
        sums.keep([Example(float(number), 0.0, "y", "", "", "")])
    kept = [example.difference for example in sums.examples]
    assert kept == [float(99 - place) for place in range(MOST_EXAMPLES)]


def test_of_too_many_pairs_the_oldest_goes() -> None:
    pairs: list[ShadowSums] = []
    for baseline in range(1, MOST_PAIRS + 2):
        sums_of(pairs, baseline, Comparison()).seen(float(baseline))
    assert [sums.baseline for sums in pairs] == list(range(2, MOST_PAIRS + 2))


def test_quantiles_of_log_counts_are_right_to_half_a_bin() -> None:
    counts = LogCounts()
    for number in range(1, 1001):
        counts.observe(number / 1000)
    found = [counts.quantile(share) or 0.0 for share in (0.5, 0.99)]
    assert [abs(value / share - 1) < 0.03 for value, share in zip(found, (0.5, 0.99), strict=True)]
    assert LogCounts().quantile(0.5) is None
