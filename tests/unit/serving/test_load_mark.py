"""What ends the process that loads it is found out by the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from augurium.core.errors import ModelFailed
from augurium.serving.load_mark import LoadMark, ended_again

DIES = """
import os, sys
from pathlib import Path
from augurium.serving.load_mark import LoadMark
with LoadMark(Path(sys.argv[1]), lambda: float(sys.argv[2])).loading("fraud@3", "abc"):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "engine-0.loading"


def die(file: Path, at: float = 0.0) -> None:
    """A process that ends while it loads."""
    done = subprocess.run([sys.executable, "-c", DIES, str(file), str(at)], check=False)
    assert done.returncode == -9


def load(file: Path, at: float, digest: str = "abc") -> None:
    with LoadMark(file, lambda: at).loading("fraud@3", digest):
        pass


def test_once_is_forgiven(file: Path) -> None:
    die(file)
    load(file, 1)


def test_what_ended_the_process_twice_rests(file: Path) -> None:
    die(file, 0)
    die(file, 10)
    with pytest.raises(ModelFailed, match=r"ended the engine 2 times while it was loaded; .* 60 s"):
        load(file, 11)
    load(file, 71)
    # it has loaded: nothing is held against it any more
    die(file, 80)
    load(file, 81)


def test_each_time_it_rests_longer_and_at_most_an_hour(file: Path) -> None:
    die(file)
    at = 0.0
    for rest_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        die(file, at)
        with pytest.raises(ModelFailed, match=f"in {rest_s} s"):
            load(file, at)
        at += rest_s


def test_another_file_of_the_same_version_is_not_held_responsible(file: Path) -> None:
    die(file)
    die(file)
    load(file, 1, digest="def")


def test_a_load_that_fails_ends_nothing(file: Path) -> None:
    for _ in range(3):
        with (
            pytest.raises(ModelFailed, match="no weights"),
            LoadMark(file).loading("fraud@3", "abc"),
        ):
            raise ModelFailed("no weights")


def test_a_damaged_note_and_a_full_disk_keep_nobody_from_loading(tmp_path: Path) -> None:
    file = tmp_path / "engine-0.loading"
    file.write_bytes(b"{")
    load(file, 0)
    load(tmp_path / "missing" / "engine-0.loading", 0)


def test_others_are_warned_of_what_ended_an_engine_again(file: Path) -> None:
    assert not ended_again(file, "fraud@3", "abc")
    die(file, 0)
    # it may have been somebody's kill
    assert not ended_again(file, "fraud@3", "abc")
    die(file, 10)
    assert ended_again(file, "fraud@3", "abc")
    assert not ended_again(file, "fraud@3", "another file")
    assert not ended_again(file, "fraud@4", "abc")
    # the next process finds that out, and loads it when it has rested
    LoadMark(file, lambda: 20.0)
    load(file, 1000)
    assert not ended_again(file, "fraud@3", "abc")
