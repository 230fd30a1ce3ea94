"""Uploads are read in pieces."""

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from augurium.client.sources import open_source
from augurium.client.upload import Upload
from augurium.core.errors import InvalidArgument
from augurium.core.files import CHUNK_BYTES
from augurium.importing.archives import unpack

CONTENT = bytes(range(256)) * (CHUNK_BYTES // 100)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "model.bin"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as MLflow writes it."""
    folder = tmp_path / "churn-model"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "model.onnx").write_bytes(CONTENT)
    (folder / "data" / "deep" / ("long-name-" * 12 + "é.bin")).write_bytes(b"x" * 513)
    (folder / "empty").write_bytes(b"")
    return folder


def test_a_file_is_sent_whole_in_small_pieces(file: Path) -> None:
    upload = Upload(file)

    chunks = list(upload.chunks())

    assert upload.size_bytes == len(CONTENT)
    assert upload.name == "model.bin"
    assert b"".join(chunks) == CONTENT
    assert max(map(len, chunks)) <= CHUNK_BYTES


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


def test_a_missing_file_and_a_socket_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        Upload(tmp_path / "absent.onnx")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(InvalidArgument, match="is no regular file"):
            Upload(tmp_path / "socket")


def test_a_file_that_shrinks_while_it_is_sent_is_refused(file: Path) -> None:
    chunks = Upload(file).chunks()
    next(chunks)
    os.truncate(file, CHUNK_BYTES + 1)

    with pytest.raises(InvalidArgument, match="changed while it was read"):
        list(chunks)


def test_a_file_url_is_a_path(file: Path) -> None:
    assert b"".join(Upload(file.as_uri()).chunks()) == CONTENT


def test_a_folder_is_one_tar_that_the_server_unpacks(folder: Path, tmp_path: Path) -> None:
    upload = Upload(folder)
    archive, unpacked = tmp_path / "sent.tar", tmp_path / "unpacked"
    archive.write_bytes(b"".join(upload.chunks()))
    unpacked.mkdir()

    unpack(archive, unpacked)

    assert upload.name == "churn-model.tar"
    assert upload.size_bytes == archive.stat().st_size
    sent = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert sent == {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
    for name in sent:
        assert (unpacked / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_files_give_the_same_tar_whatever_their_dates_and_modes(folder: Path) -> None:
    before = b"".join(Upload(folder).chunks())
    os.utime(folder / "MLmodel", (1, 1))
    (folder / "MLmodel").chmod(0o600)

    assert b"".join(Upload(folder).chunks()) == before


def test_another_reader_sees_no_owner_and_no_date(folder: Path) -> None:
    stream = io.BytesIO(b"".join(Upload(folder).chunks()))

    with tarfile.open(fileobj=stream) as archive:
        members = archive.getmembers()

    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.uid, member.uname, member.mtime, member.mode) for member in members} == {
        (0, "", 0, 0o644)
    }


def test_an_mlflow_folder_is_recognized_by_its_file(folder: Path) -> None:
    assert open_source(f"mlflow:{folder}").name == "churn-model.tar"
    (folder / "MLmodel").unlink()
    with pytest.raises(InvalidArgument, match="holds a file MLmodel"):
        open_source(f"mlflow:{folder}")


@pytest.mark.parametrize("name", ["a\\b", "a:b", "line\nbreak", "dot.", "blank ", "tab\t"])
def test_names_that_a_server_would_not_unpack_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")

    with pytest.raises(InvalidArgument, match="cannot be called"):
        Upload(folder)


def test_a_name_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"")

    with pytest.raises(InvalidArgument, match="cannot be called"):
        Upload(folder)


def test_names_that_differ_by_case_only_are_refused(folder: Path) -> None:
    (folder / "mlmodel").write_bytes(b"")

    with pytest.raises(InvalidArgument, match="differ by case only"):
        Upload(folder)


def test_links_and_sockets_in_a_folder_are_refused(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidArgument, match="is a link"):
        Upload(folder)
    (folder / "link").unlink()
    (folder / "folder-link").symlink_to("/etc")
    with pytest.raises(InvalidArgument, match="is a link"):
        Upload(folder)
    (folder / "folder-link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidArgument, match="is no regular file"):
        Upload(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="holds 0 files"):
        Upload(tmp_path)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("gopher://host/x", "not a known kind"),
        ("ftp://host/x", "not a known kind"),
        ("jar:/x", "not a known kind"),
        ("file://host/etc/passwd", "not a known kind"),
        ("runs:/abc/model", "mlflow artifacts download"),
        ("models:/churn/1", "mlflow artifacts download"),
        ("s3://bucket", "does not name an object"),
        ("s3://key:secret@bucket/x", "does not name an object"),
        ("http://example.com/model.onnx", "expected https"),
        ("http://127.0.0.1.example.com/model.onnx", "expected https"),
        ("http://2130706433/x", "expected https"),
        ("https://user:pass@example.com/model.onnx", "holds a password"),
        ("https:///x", "not allowed|cannot be read"),
    ],
)
def test_addresses_that_may_not_be_used_are_refused_without_a_connection(
    uri: str, reason: str
) -> None:
    with pytest.raises(InvalidArgument, match=reason) as refusal:
        open_source(uri)
    assert "secret" not in str(refusal.value)
    assert "user:pass" not in str(refusal.value)
