"""The command line inside the test's process, away from the settings of the machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from augurium.cli.app import app

Augurium = Callable[..., Result]


@pytest.fixture
def augurium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Augurium:
    """Runs `augurium` with these arguments in an empty folder; standard error apart."""
    monkeypatch.chdir(tmp_path)
    # wide enough that no message is wrapped
    runner = CliRunner(env={"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"})
    return lambda *arguments, **options: runner.invoke(app, list(arguments), **options)
