"""Feedback over a journal in memory and segments in a folder."""

from pathlib import Path

import pytest

from augurium.core.clock import ManualClock
from augurium.feedback.memory_journal import MemoryJournal
from augurium.feedback.segments import FeedbackSegments
from augurium.records.database import RecordDatabase
from augurium.records.partitions import Partitions
from augurium.records.record_store import FolderRecords


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def segments(tmp_path: Path, clock: ManualClock) -> FeedbackSegments:
    store = FolderRecords(tmp_path / "records")
    database = RecordDatabase(tmp_path / "work", [store.root])
    return FeedbackSegments(Partitions(store, database, clock, "0" * 8))
