"""What every journal of feedback does."""

from concurrent.futures import ThreadPoolExecutor

from augurium.feedback.journal import Journal, JournalSize, Segment
from augurium.feedback.row import FeedbackRow, StoredRow


def row(prediction: str = "p1", model: str = "churn", value: float = 1.0) -> FeedbackRow:
    return FeedbackRow(1000.5, model, prediction, "", "converted", "", value)


def segment(name: str, model: str = "churn", first: int = 1, received_at: float = 5.0) -> Segment:
    return Segment(
        name=name,
        model=model,
        hour="1970-01-01T00",
        first_seq=first,
        last_seq=first + 9,
        rows=10,
        size_bytes=700,
        first_at=1.0,
        last_at=2.0,
        received_at=received_at,
    )


def test_rows_come_back_as_they_were_in_the_order_of_their_receipt(journal: Journal) -> None:
    awkward = FeedbackRow(0.25, "churn", "", "Zoë 🦊", "revenue", "2nd", -1e300)

    first = journal.append([row("p1"), awkward], 7.5)
    later = journal.append([row("p2")], 6.5)

    assert later == first + 2
    assert journal.oldest(2) == [
        StoredRow(first, 7.5, row("p1")),
        StoredRow(first + 1, 7.5, awkward),
    ]
    assert journal.size() == JournalSize(3, 6.5)


def test_an_empty_journal_says_so(journal: Journal) -> None:
    assert journal.size() == JournalSize(0, None)
    assert journal.oldest(10) == []
    assert journal.kept("churn") == ([], [])
    assert journal.models() == set()
    assert journal.segment_names() == set()


def test_numbers_are_never_given_twice(journal: Journal) -> None:
    def take(turn: int) -> range:
        if turn % 2:
            first = journal.reserve(3)
        else:
            first = journal.append([row(f"p{turn}-{place}") for place in range(3)], 1.0)
        return range(first, first + 3)

    with ThreadPoolExecutor(4) as threads:
        taken = [number for numbers in threads.map(take, range(20)) for number in numbers]

    assert len(set(taken)) == len(taken) == 60
    assert journal.append([row("last")], 1.0) > max(taken)
    assert journal.size().rows == 31


def test_numbers_go_on_after_everything_was_taken_out(journal: Journal) -> None:
    first = journal.append([row()], 1.0)
    journal.replace(journal.oldest(1), [segment("a")])

    assert journal.append([row()], 1.0) > first


def test_rows_that_were_put_into_a_segment_are_in_the_journal_no_more(journal: Journal) -> None:
    journal.append([row("p1"), row("p2")], 1.0)
    journal.append([row("p3")], 2.0)
    oldest = journal.oldest(2)

    assert journal.replace(oldest, [segment("a")])

    kept = journal.kept("churn")
    assert kept.segments == [segment("a")]
    assert [found.row for found in kept.rows] == [row("p3")]
    assert journal.segment_names() == {"a"}


def test_of_two_that_put_the_same_rows_into_segments_one_is_told_that_it_was_late(
    journal: Journal,
) -> None:
    journal.append([row("p1"), row("p2")], 1.0)
    rows = journal.oldest(10)

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda name: journal.replace(rows, [segment(name)]), "ab"))

    assert sorted(done) == [False, True]
    assert len(journal.kept("churn").segments) == 1
    assert journal.size().rows == 0


def test_nothing_is_replaced_when_some_of_the_rows_were_forgotten(journal: Journal) -> None:
    journal.append([row("p1"), row("p2", "other"), row("p3")], 1.0)
    rows = journal.oldest(10)
    journal.forget("other")

    assert not journal.replace(rows, [segment("a")])
    assert journal.size().rows == 2
    assert journal.segment_names() == set()


def test_segments_are_listed_by_model_in_the_order_of_their_numbers(journal: Journal) -> None:
    journal.note([segment("b", first=20), segment("a", first=10), segment("x", "other")])

    assert [found.name for found in journal.kept("churn").segments] == ["a", "b"]
    assert [found.name for found in journal.kept("other").segments] == ["x"]
    assert journal.models() == {"churn", "other"}


def test_a_model_that_is_forgotten_leaves_nothing_and_others_stay(journal: Journal) -> None:
    journal.append([row("p1"), row("p1", "other")], 1.0)
    journal.note([segment("a"), segment("x", "other")])

    assert journal.forget("churn") == [segment("a")]

    assert journal.models() == {"other"}
    assert journal.kept("churn") == ([], [])
    assert journal.forget("churn") == []


def test_what_was_received_before_a_time_goes(journal: Journal) -> None:
    journal.append([row("old")], 1.0)
    journal.append([row("new")], 10.0)
    journal.note([segment("a", received_at=4.0), segment("b", first=30, received_at=5.0)])

    assert journal.expire(5.0) == [segment("a", received_at=4.0)]

    kept = journal.kept("churn")
    assert [found.name for found in kept.segments] == ["b"]
    assert [found.row.prediction_id for found in kept.rows] == ["new"]
