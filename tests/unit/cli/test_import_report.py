"""The import report as people read it."""

from typing import Any

from augurium.cli.import_report import engine_rows, parity_error, report_fields

REPORT: dict[str, Any] = {
    "chosen": "treelite",
    "chosen_because": "treelite passed parity; onnx did not",
    "engines": {
        "onnx": {"outcome": "refused: it has 2 outputs"},
        "treelite": {
            "outcome": "ok",
            "parity": {"rows": 500, "max_abs_error": 1e-6, "label_differences": 0},
            "latency_ms": {"1": 0.04, "64": 0.6},
            "load_ms": 12.5,
            "memory_bytes": 2 * 1024**2,
        },
    },
    "parity": {"max_abs_error": 1e-6},
    "notes": [],
}


def test_every_engine_has_a_row_and_the_one_that_serves_a_star() -> None:
    assert list(engine_rows(REPORT)) == [
        ("onnx", None, None, None, None, None, None, None, "refused: it has 2 outputs"),
        ("treelite *", 1e-6, 0, 0.04, 0.6, None, 12.5, "2.0 MiB", "ok"),
    ]


def test_a_report_of_an_older_version_has_no_rows() -> None:
    assert list(engine_rows({"engine": "onnx"})) == []


def test_fields_leave_out_what_the_table_shows() -> None:
    assert list(report_fields(REPORT)) == [("parity", ""), ("  max abs error", 1e-6), ("notes", [])]


def test_the_parity_error_is_that_of_the_engine_that_serves() -> None:
    assert parity_error(REPORT) == 1e-6
    assert parity_error({}) is None
