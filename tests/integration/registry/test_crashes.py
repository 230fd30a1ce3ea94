from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_kill_at_any_step_leaves_a_version_whole_or_not_at_all(
    run_program: Callable[..., Any], tmp_path: Path
) -> None:
    reports = run_program("crash", tmp_path)

    assert [report["killed"] for report in reports] == [True] * (len(reports) - 1) + [False]
    for report in reports:
        count = len(report["numbers"])
        assert report["numbers"] == list(range(1, count + 1))
        assert report["whole"] == [True] * count
        assert report["latest"] == report["revision"] == count
        assert report["audited"] == report["numbers"][::-1]
        assert report["next"] == count + 1
        assert report["staged"] == 0
    # the kills were spread over the whole work: before, between and inside the two uploads
    assert [len(report["numbers"]) for report in (reports[0], reports[-1])] == [0, 2]
    assert {len(report["numbers"]) for report in reports if report["leftovers"]} == {0, 1}
