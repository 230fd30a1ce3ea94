"""Uploads are read in pieces."""

from pathlib import Path

import pytest

from augurium.client.upload import Upload
from augurium.core.errors import InvalidArgument
from augurium.core.files import CHUNK_BYTES

CONTENT = bytes(range(256)) * (CHUNK_BYTES // 100)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "model.bin"
    file.write_bytes(CONTENT)
    return file


def test_a_file_is_sent_whole_in_small_pieces(file: Path) -> None:
    upload = Upload(file)

    chunks = list(upload.chunks())

    assert upload.size_bytes == len(CONTENT)
    assert b"".join(chunks) == CONTENT
    assert max(map(len, chunks)) == CHUNK_BYTES


def test_bytes_are_sent_like_a_file() -> None:
    upload = Upload(CONTENT)

    assert upload.size_bytes == len(CONTENT)
    assert b"".join(upload.chunks()) == CONTENT


def test_progress_grows_to_one(file: Path) -> None:
    seen: list[tuple[str, float]] = []

    list(Upload(file).chunks(lambda stage, fraction: seen.append((stage, fraction))))

    fractions = [fraction for _, fraction in seen]
    assert {stage for stage, _ in seen} == {"uploading"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_nothing_can_be_sent_too() -> None:
    assert list(Upload(b"").chunks()) == []


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        Upload(tmp_path / "absent.onnx")
    with pytest.raises(InvalidArgument, match="is a folder"):
        Upload(tmp_path)
