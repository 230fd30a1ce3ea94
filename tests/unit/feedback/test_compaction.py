"""The journal stays short, segments as long as they may, and nothing is lost or doubled."""

from collections.abc import Sequence

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import NotReady
from augurium.core.rollout_settings import FeedbackSettings
from augurium.feedback.bulk_load import BLOCK_ROWS, BulkLoad
from augurium.feedback.compaction import Compaction
from augurium.feedback.journal import Segment
from augurium.feedback.last_values import last_values, newest
from augurium.feedback.memory_journal import MemoryJournal
from augurium.feedback.row import FeedbackRow, StoredRow
from augurium.feedback.segments import KIND, FeedbackSegments

DAY_S = 86400.0


def row(of: int, model: str = "churn") -> FeedbackRow:
    return FeedbackRow(1000.0, model, f"p{of}", "", "converted", "", 1.0)


def compaction(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock, **limits: float
) -> Compaction:
    return Compaction(journal, segments, FeedbackSettings(**limits), clock)  # type: ignore[arg-type]


def now(clock: ManualClock) -> float:
    return clock.now().timestamp()


def received(journal: MemoryJournal, segments: FeedbackSegments, model: str = "churn") -> int:
    """How many outcomes can be read."""
    with last_values(segments.partitions, journal.kept(model)) as connection:
        return len(newest(connection, 10_000))


def test_few_young_rows_stay_in_the_journal(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    moving = compaction(journal, segments, clock, compact_rows=3, compact_s=60)
    assert moving.run() == 0
    journal.append([row(1), row(2)], now(clock))
    assert moving.run() == 0

    journal.append([row(3)], now(clock))
    assert moving.run() == 3
    journal.append([row(4)], now(clock))
    clock.advance(60)
    assert moving.run() == 1
    assert journal.size().rows == 0
    assert received(journal, segments) == 4


def test_a_clock_that_was_set_back_leaves_no_row_in_the_journal_for_ever(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    journal.append([row(1)], now(clock) + 10 * DAY_S)

    assert compaction(journal, segments, clock).run() == 1


def test_rows_go_into_a_segment_per_model_and_hour(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    journal.append([row(1), row(2, "other"), row(3)], 1000.0)
    journal.append([row(4)], 4000.0)
    compaction(journal, segments, clock).run(everything=True)

    found = [(told.hour, told.rows, told.first_seq) for told in journal.kept("churn").segments]
    assert found == [("1970-01-01T00", 2, 1), ("1970-01-01T01", 1, 4)]
    stored = segments.partitions.segments(KIND, "churn")
    assert {told.name for told in stored} == {told.name for told in journal.kept("churn").segments}


class CutOffJournal(MemoryJournal):
    """Its process ends when segments are written and nothing lists them yet."""

    def __init__(self) -> None:
        super().__init__()
        self.works = False

    def replace(self, rows: Sequence[StoredRow], segments: Sequence[Segment]) -> bool:
        if not self.works:
            raise NotReady("gone")
        return super().replace(rows, segments)

    def note(self, segments: Sequence[Segment]) -> None:
        if not self.works:
            raise NotReady("gone")
        super().note(segments)


def test_a_crash_between_a_segment_and_its_entry_loses_and_doubles_nothing(
    segments: FeedbackSegments, clock: ManualClock
) -> None:
    journal = CutOffJournal()
    journal.append([row(1), row(2)], now(clock))
    moving = compaction(journal, segments, clock)
    with pytest.raises(NotReady):
        moving.run(everything=True)

    assert len(segments.partitions.segments(KIND)) == 1
    assert received(journal, segments) == 2
    journal.works = True
    assert moving.run(everything=True) == 2
    assert received(journal, segments) == 2
    assert sum(found.rows for found in journal.kept("churn").segments) == 2


def test_files_that_nothing_lists_go_when_they_are_old(
    segments: FeedbackSegments, clock: ManualClock
) -> None:
    journal = CutOffJournal()
    journal.append([row(1)], now(clock))
    moving = compaction(journal, segments, clock)
    with pytest.raises(NotReady):
        moving.run(everything=True)
    journal.works = True
    # a file is named by its time: the second one is another
    clock.advance(1)
    moving.run(everything=True)
    assert len(segments.partitions.segments(KIND)) == 2

    moving.sweep()
    clock.advance(3600)
    moving.sweep()
    assert len(segments.partitions.segments(KIND)) == 2
    clock.advance(2 * DAY_S)
    moving.sweep()
    assert len(segments.partitions.segments(KIND)) == 1
    assert received(journal, segments) == 1


def test_feedback_goes_when_it_was_kept_long_enough(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    moving = compaction(journal, segments, clock, keep_days=10)
    moving.sweep()
    journal.append([row(1)], now(clock))
    moving.run(everything=True)
    clock.advance(5 * DAY_S)
    journal.append([row(2)], now(clock))
    moving.run(everything=True)
    moving.sweep()
    assert received(journal, segments) == 2

    clock.advance(6 * DAY_S)
    moving.sweep()
    assert received(journal, segments) == 1
    assert len(segments.partitions.segments(KIND)) == 1


class JumpyClock(ManualClock):
    """A wall clock that can be set without the other one."""

    def __init__(self) -> None:
        super().__init__()
        self.off = ManualClock()

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + (self.off.now() - ManualClock().now())


def test_a_wall_clock_that_jumps_takes_nothing_along(
    journal: MemoryJournal, segments: FeedbackSegments
) -> None:
    clock = JumpyClock()
    moving = compaction(journal, segments, clock, keep_days=10)
    moving.sweep()
    journal.append([row(1)], now(clock))
    moving.run(everything=True)

    clock.off.advance(100 * DAY_S)
    clock.advance(3600)
    moving.sweep()

    assert received(journal, segments) == 1


def test_a_model_that_is_forgotten_leaves_no_file(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    moving = compaction(journal, segments, clock)
    journal.append([row(1), row(2, "other")], now(clock))
    moving.run(everything=True)
    journal.append([row(3)], now(clock))

    moving.forget("churn")

    assert received(journal, segments) == 0
    assert received(journal, segments, "other") == 1
    assert segments.partitions.models(KIND) == ["other"]


def test_nothing_of_a_bulk_load_can_be_read_before_its_end(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    load = BulkLoad(journal, segments, clock)
    load.add([row(place) for place in range(BLOCK_ROWS + 5)])
    assert len(segments.partitions.segments(KIND)) == 1
    assert journal.kept("churn").segments == []

    load.commit()

    assert sum(found.rows for found in journal.kept("churn").segments) == BLOCK_ROWS + 5


def test_a_bulk_load_that_is_abandoned_leaves_nothing(
    journal: MemoryJournal, segments: FeedbackSegments, clock: ManualClock
) -> None:
    load = BulkLoad(journal, segments, clock)
    load.add([row(place) for place in range(BLOCK_ROWS)])
    load.abandon()

    assert segments.partitions.segments(KIND) == []
    assert journal.segment_names() == set()
