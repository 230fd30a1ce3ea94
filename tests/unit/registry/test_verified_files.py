"""What counts as unchanged since it was hashed, and what does not."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from augurium.core.errors import Unprocessable
from augurium.registry.verified_files import VerifiedFiles

CONTENT, OTHER = b"weights" * 100, b"Weights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SECOND_NS = 1_000_000_000


def later() -> int:
    """A clock by which no file has just been changed."""
    return time.time_ns() + SECOND_NS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "model"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "verified"


def written_over(file: Path) -> None:
    file.write_bytes(OTHER)


def written_over_with_its_old_time(file: Path) -> None:
    found = file.stat()
    file.write_bytes(OTHER)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def replaced(file: Path) -> None:
    found = file.stat()
    other = file.with_name("other")
    other.write_bytes(OTHER)
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(file)


def cut_short(file: Path) -> None:
    os.truncate(file, 10)


CHANGES = [written_over, written_over_with_its_old_time, replaced, cut_short]


def test_an_unchanged_file_is_hashed_once(file: Path) -> None:
    verified = VerifiedFiles(now_ns=later)
    for _ in range(3):
        verified.check(file, DIGEST)
    assert verified.hashed == 1


def test_processes_that_share_a_folder_hash_a_file_once(file: Path, folder: Path) -> None:
    processes = [VerifiedFiles(folder, later) for _ in range(3)]
    for process in processes:
        process.check(file, DIGEST)
    assert [process.hashed for process in processes] == [1, 0, 0]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
def test_a_changed_file_is_hashed_again_and_refused(
    file: Path, folder: Path, change: Callable[[Path], None], shared: bool
) -> None:
    verified = VerifiedFiles(folder if shared else None, later)
    verified.check(file, DIGEST)
    change(file)
    for process in (verified, VerifiedFiles(folder, later)):
        with pytest.raises(Unprocessable, match="is damaged"):
            process.check(file, DIGEST)


def test_a_file_that_was_touched_is_hashed_again_and_is_fine(file: Path, folder: Path) -> None:
    verified = VerifiedFiles(folder, later)
    verified.check(file, DIGEST)
    os.utime(file)
    verified.check(file, DIGEST)
    verified.check(file, DIGEST)
    assert verified.hashed == 2


def test_another_digest_of_the_same_file_is_not_known(file: Path, folder: Path) -> None:
    verified = VerifiedFiles(folder, later)
    verified.check(file, DIGEST)
    with pytest.raises(Unprocessable, match="is damaged"):
        verified.check(file, "0" * 64)


def test_a_file_changed_a_moment_ago_is_not_remembered(file: Path, folder: Path) -> None:
    verified = VerifiedFiles(folder, lambda: file.stat().st_ctime_ns)
    verified.check(file, DIGEST)
    verified.check(file, DIGEST)
    assert verified.hashed == 2


@pytest.mark.parametrize("note", [b"", b'{"path": "/', b"\xff" * 100], ids=["none", "half", "junk"])
def test_a_damaged_note_is_no_proof(file: Path, folder: Path, note: bytes) -> None:
    folder.mkdir()
    (folder / DIGEST).write_bytes(note)
    first, second = VerifiedFiles(folder, later), VerifiedFiles(folder, later)
    first.check(file, DIGEST)
    second.check(file, DIGEST)
    assert (first.hashed, second.hashed) == (1, 0)


def test_without_a_folder_to_write_to_files_are_checked_all_the_same(
    file: Path, folder: Path
) -> None:
    folder.write_text("not a folder")
    VerifiedFiles(folder, later).check(file, DIGEST)
    written_over(file)
    with pytest.raises(Unprocessable, match="is damaged"):
        VerifiedFiles(folder, later).check(file, DIGEST)


def test_notes_of_files_that_are_gone_are_removed(file: Path, folder: Path) -> None:
    verified = VerifiedFiles(folder, later)
    verified.check(file, DIGEST)
    assert verified.sweep() == 0
    file.unlink()
    (folder / "junk").write_text("junk")
    assert verified.sweep() == 2
    assert list(folder.iterdir()) == []


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        VerifiedFiles(folder, later).check(tmp_path / "none", DIGEST)
