from pathlib import Path

import pytest

from augurium.core.errors import NotReady
from augurium.registry.obstore_artifacts import ObstoreArtifacts


def test_interrupted_uploads_are_swept_and_stored_files_are_kept(tmp_path: Path) -> None:
    artifacts = ObstoreArtifacts(tmp_path)
    stored = artifacts.put([b"content"], 1000)
    (tmp_path / "staging" / "interrupted").write_bytes(b"half of a fi")

    assert artifacts.sweep_staging() == 1
    assert artifacts.sweep_staging() == 0
    assert artifacts.local_path(stored.digest).read_bytes() == b"content"


def test_a_new_store_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert ObstoreArtifacts(tmp_path).sweep_staging() == 0


def test_a_damaged_copy_is_replaced_when_the_content_comes_again(tmp_path: Path) -> None:
    artifacts = ObstoreArtifacts(tmp_path)
    stored = artifacts.put([b"content"], 1000)
    artifacts.local_path(stored.digest).write_bytes(b"dust")

    artifacts.put([b"content"], 1000)

    assert artifacts.local_path(stored.digest).read_bytes() == b"content"


def test_two_stores_on_one_folder_see_the_same_files(tmp_path: Path) -> None:
    stored = ObstoreArtifacts(tmp_path).put([b"content"], 1000)

    assert ObstoreArtifacts(tmp_path).contains(stored.digest)


def test_a_store_whose_place_is_taken_by_a_file_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"")

    with pytest.raises(NotReady, match="cannot be written"):
        ObstoreArtifacts(tmp_path / "artifacts")


@pytest.mark.parametrize("obstacle", ["staging", "sha256"])
def test_an_upload_whose_place_is_taken_by_a_file_is_not_ready_and_leaves_nothing(
    tmp_path: Path, obstacle: str
) -> None:
    artifacts = ObstoreArtifacts(tmp_path)
    (tmp_path / obstacle).write_bytes(b"")

    with pytest.raises(NotReady, match=r"cannot be written: (File exists|Not a directory)"):
        artifacts.put([b"content"], 1000)

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [obstacle]


def test_a_store_whose_folder_is_gone_is_not_ready(tmp_path: Path) -> None:
    artifacts = ObstoreArtifacts(tmp_path / "artifacts")
    (tmp_path / "artifacts").rmdir()

    with pytest.raises(NotReady, match="cannot be written"):
        artifacts.put([b"content"], 1000)
