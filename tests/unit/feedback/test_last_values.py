"""Of all rows for one outcome the one counts that was received last, wherever the rows stand."""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.core.clock import ManualClock
from augurium.core.rollout_settings import FeedbackSettings
from augurium.feedback.bulk_load import BulkLoad
from augurium.feedback.compaction import Compaction
from augurium.feedback.journal import Journal
from augurium.feedback.last_values import ALWAYS, FeedbackValue, last_values, newest, summary
from augurium.feedback.memory_journal import MemoryJournal
from augurium.feedback.row import FeedbackRow
from augurium.feedback.segments import FeedbackSegments

NOW = 1000.0


def row(of: str = "p1", value: float = 1.0, at: float = NOW, **said: str) -> FeedbackRow:
    return FeedbackRow(
        at,
        said.get("model", "churn"),
        said.get("prediction_id", of),
        said.get("unit", ""),
        said.get("name", "converted"),
        said.get("id", ""),
        value,
    )


def values(
    journal: Journal,
    segments: FeedbackSegments,
    start: float = ALWAYS[0],
    end: float = ALWAYS[1],
) -> list[FeedbackValue]:
    kept = journal.kept("churn")
    with last_values(segments.partitions, kept, start, end) as connection:
        return newest(connection, 10_000)


def compaction(journal: Journal, segments: FeedbackSegments, clock: ManualClock) -> Compaction:
    return Compaction(journal, segments, FeedbackSettings(), clock)


def test_nothing_received_is_nothing_found(
    journal: MemoryJournal, segments: FeedbackSegments
) -> None:
    assert values(journal, segments) == []
    with last_values(segments.partitions, journal.kept("churn")) as connection:
        assert summary(connection) == []


def test_what_tells_outcomes_apart(journal: MemoryJournal, segments: FeedbackSegments) -> None:
    rows = [
        row(),
        row(prediction_id="", unit="p1"),
        row(name="revenue"),
        row(id="2nd"),
        row("p2"),
        row(model="other", value=7.0),
    ]
    journal.append(rows, NOW)
    journal.append([told._replace(value=2.0) for told in rows], NOW)

    found = values(journal, segments)

    assert [value.value for value in found] == [2.0] * 5
    assert {(value.prediction_id, value.unit, value.name, value.id) for value in found} == {
        ("p1", "", "converted", ""),
        ("", "p1", "converted", ""),
        ("p1", "", "revenue", ""),
        ("p1", "", "converted", "2nd"),
        ("p2", "", "converted", ""),
    }


def test_the_order_of_receipt_counts_and_no_clock(
    journal: MemoryJournal, segments: FeedbackSegments
) -> None:
    journal.append([row(value=1.0, at=500.0)], NOW)
    # received later by an earlier clock, of an earlier time
    journal.append([row(value=2.0, at=100.0)], NOW - 86400 * 400)

    (found,) = values(journal, segments)

    assert found.value == 2.0
    assert found.at.timestamp() == 100.0


def test_a_later_row_that_moved_an_outcome_out_of_a_time_takes_it_out(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    moving = compaction(journal, segments, clock)
    journal.append([row("old", at=50.0)], NOW)
    moving.run(everything=True)
    journal.append([row("p1", at=100.0), row("p2", at=110.0)], NOW)
    moving.run(everything=True)
    journal.append([row("p1", at=900.0)], NOW)
    moving.run(everything=True)

    assert [value.prediction_id for value in values(journal, segments, 90.0, 200.0)] == ["p2"]
    assert [value.prediction_id for value in values(journal, segments, 110.0)] == ["p1", "p2"]
    assert values(journal, segments, 51.0, 100.0) == []


def test_a_summary_counts_outcomes_rows_and_contradictions(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    journal.append([row("p1", 0.0, 10.0), row("p2", 4.0, 20.0), row("p2", 4.0, 20.0)], NOW)
    compaction(journal, segments, clock).run(everything=True)
    journal.append([row("p1", 2.0, 30.0), row("p1", 9.0, name="revenue")], NOW)

    with last_values(segments.partitions, journal.kept("churn")) as connection:
        converted, revenue = summary(connection)

    assert (converted.outcomes, converted.received, converted.conflicting) == (2, 4, 1)
    assert (converted.mean, converted.least, converted.most) == (3.0, 2.0, 4.0)
    assert (converted.first_at.timestamp(), converted.last_at.timestamp()) == (20.0, 30.0)
    assert (revenue.name, revenue.outcomes, revenue.mean) == ("revenue", 1, 9.0)


OUTCOMES = st.lists(
    st.tuples(st.sampled_from(["p1", "p2", "p3"]), st.sampled_from(["", "2nd"])),
    min_size=1,
    unique=True,
)
numbers = itertools.count()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=OUTCOMES, repeats=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_any_order_and_repetition_of_the_same_rows_gives_the_same_values(
    tmp_path: Path,
    segments: FeedbackSegments,
    clock: ManualClock,
    outcomes: Sequence[tuple[str, str]],
    repeats: int,
    seed: int,
) -> None:
    rows = [row(of, hash((of, which)) % 7 / 2, id=which) for of, which in outcomes]
    chance = random.Random(seed)
    sent = rows * repeats
    chance.shuffle(sent)
    journal = MemoryJournal()
    _take(journal, segments, clock, sent, chance)

    found = values(journal, segments)

    assert {(value.prediction_id, value.id): value.value for value in found} == {
        (told.prediction_id, told.feedback_id): told.value for told in rows
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.lists(st.tuples(st.sampled_from(["p1", "p2"]), st.integers(0, 5)), min_size=1),
    seed=st.integers(0, 2**32),
)
def test_the_last_of_contradicting_rows_wins_whichever_way_they_came(
    segments: FeedbackSegments, clock: ManualClock, sent: list[tuple[str, int]], seed: int
) -> None:
    journal = MemoryJournal()
    rows = [row(of, float(value)) for of, value in sent]
    _take(journal, segments, clock, rows, random.Random(seed))

    found = {value.prediction_id: value.value for value in values(journal, segments)}

    assert found == {of: float(value) for of, value in sent}


def _take(
    journal: Journal,
    segments: FeedbackSegments,
    clock: ManualClock,
    rows: Sequence[FeedbackRow],
    chance: random.Random,
) -> None:
    """One after another, through the journal, a bulk load, or with a compaction in between."""
    moving = compaction(journal, segments, clock)
    ways: list[Callable[[FeedbackRow], object]] = [
        lambda told: journal.append([told], NOW),
        lambda told: (journal.append([told], NOW), moving.run(everything=True)),
        lambda told: _load(BulkLoad(journal, segments, clock), told),
    ]
    for told in rows:
        chance.choice(ways)(told)


def _load(load: BulkLoad, told: FeedbackRow) -> None:
    load.add([told])
    load.commit()
