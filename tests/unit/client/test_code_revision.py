"""The revision of the training code, asked of git."""

import re
import subprocess
from pathlib import Path

import pytest

from augurium.client.code_revision import code_revision
from augurium.core.errors import InvalidArgument


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


def test_it_is_the_commit_and_says_whether_there_are_changes(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "train.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = code_revision(tmp_path)
    (tmp_path / "train.py").write_text("2")

    assert re.fullmatch("[0-9a-f]{40}", clean)
    assert code_revision(tmp_path) == f"{clean}-dirty"


def test_outside_of_a_repository_it_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"not known to git.*--code-revision REVISION"):
        code_revision(tmp_path)
