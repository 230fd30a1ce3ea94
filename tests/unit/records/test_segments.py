"""The names of segments say where they belong, and nothing else is taken for one."""

from datetime import UTC, datetime

import pytest

from augurium.records.schema import quoted, quoted_text
from augurium.records.segments import Segment, found_of, hour_of, segment_name

HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAME = segment_name(HOUR, "0123abcd", b"content")
SEGMENT = Segment("predictions", "churn", HOUR, NAME, 7)


def test_a_key_is_read_as_it_was_written() -> None:
    found = found_of(SEGMENT.key, 7)

    assert found is not None
    assert found.segment == SEGMENT
    assert not found.merge
    assert SEGMENT.key.startswith("predictions/model=churn/hour=2026-05-01T12/")
    assert SEGMENT.writer == "0123abcd"
    assert SEGMENT.digest == "ed7002b439e9ac84"


def test_the_note_of_a_merge_is_told_from_its_segment() -> None:
    found = found_of(SEGMENT.merge_key, 99)

    assert found is not None
    assert found.merge
    assert found.segment.key == SEGMENT.key


def test_names_sort_by_when_they_were_written() -> None:
    later = segment_name(HOUR.replace(second=1), "00000000", b"")

    assert later > NAME


@pytest.mark.parametrize(
    "key",
    [
        "predictions/model=churn/hour=2026-05-01T12/notes.parquet",
        f"predictions/model=churn/hour=2026-05-01T99/{NAME}.parquet",
        f"predictions/model=a/b/hour=2026-05-01T12/{NAME}.parquet",
        f"predictions/hour=2026-05-01T12/{NAME}.parquet",
        f"predictions/model=churn/hour=2026-05-01T12/{NAME}.csv",
        f"predictions/model=churn/hour=2026-05-01T12/.{NAME}.parquet",
        "",
    ],
)
def test_other_keys_are_no_segments(key: str) -> None:
    assert found_of(key, 1) is None


def test_the_hour_of_a_time_is_that_of_utc() -> None:
    assert hour_of(datetime.fromisoformat("2026-05-01T14:59:59.9+02:00")) == HOUR


def test_names_and_texts_are_quoted() -> None:
    assert quoted('a"b') == '"a""b"'
    assert quoted_text("a'b") == "'a''b'"
