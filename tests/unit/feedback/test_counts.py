"""What is counted of feedback."""

from augurium.feedback.counts import MOST_RECENT, FeedbackCounts
from augurium.feedback.row import FeedbackRow


def row(of: str = "p1", value: float = 1.0, model: str = "churn", at: float = 1.0) -> FeedbackRow:
    return FeedbackRow(at, model, of, "", "converted", "", value)


def test_rows_that_say_it_again_and_rows_that_say_otherwise_are_told_apart() -> None:
    counts = FeedbackCounts()

    counts.count([row(), row(at=2.0), row(value=0.0), row(value=0.0), row("p2")])
    counts.count([row(model="other")])
    counts.reject(3)

    assert counts.by_model() == {
        "received": {"churn": 5, "other": 1},
        "repeated": {"churn": 2},
        "conflicting": {"churn": 1},
    }
    assert counts.rejected == 3


def test_only_the_recent_rows_are_remembered() -> None:
    counts = FeedbackCounts()
    counts.count([row("first")])
    counts.count(row(f"p{place}") for place in range(2 * MOST_RECENT))
    counts.count([row("first")])

    assert counts.by_model()["repeated"] == {}
