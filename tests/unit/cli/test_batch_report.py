"""The report of a batch job as a terminal shows it."""

from msgspec.structs import replace

from augurium.batch.drift import Drift
from augurium.cli.batch_report import report_lines
from tools.batch_report_example import example_report

REPORT = example_report()
LINES = [(name, str(said)) for name, said in report_lines(REPORT)]
SAID = dict(LINES)


def test_rows_are_told_by_what_became_of_them() -> None:
    assert SAID["answered"] == f"{REPORT.rows.written:,} of {REPORT.rows.read:,} rows"
    rejected = [said for name, said in LINES if name == "set aside"]
    assert rejected[0].startswith(f"{REPORT.rejects[0].rows:,} {REPORT.rejects[0].kind}")


def test_numbers_are_drawn_and_classes_have_their_shares() -> None:
    assert "▁" in SAID["answers probability"]
    assert "%" in SAID["answers label"]


def test_features_that_moved_are_named_the_worst_first() -> None:
    moved = [said for name, said in LINES if name.strip() in ("alert", "warning")]
    worst = next(feature for feature in REPORT.drift.features if feature.status != "ok")
    assert f"{worst.name}, PSI {worst.psi:.3f}" in moved[0]


def test_without_a_profile_it_says_why_nothing_is_compared() -> None:
    report = replace(REPORT, drift=Drift(note="the version has no training profile"))
    assert dict(report_lines(report))["drift"] == "the version has no training profile"
