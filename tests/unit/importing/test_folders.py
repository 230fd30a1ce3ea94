"""Finding the model in what was unpacked."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from augurium.core.errors import Unprocessable
from augurium.importing.folders import find_model, is_packed_folder, opened, size_bytes


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        tarred({"m/MLmodel": b"flavors: {}", "m/model.skops": b"x"}),
        tarred({"MLmodel": b"flavors: {}", "model.skops": b"x"}),
        tarred({"a/b/MLmodel": b"flavors: {}"}, "w:gz"),
        zipped({"m/MLmodel": b"flavors: {}", "m/model.skops": b"x"}),
    ],
)
def test_the_folder_of_a_model_is_found_in_any_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "upload").write_bytes(content)
    found = opened(tmp_path / "upload", tmp_path / "unpacked")
    assert (found / "MLmodel").read_bytes() == b"flavors: {}"


def test_an_onnx_file_is_found_beside_its_weights(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(tarred({"m/model.onnx": b"graph", "m/weights.bin": b"w"}))
    assert opened(tmp_path / "upload", tmp_path / "unpacked").read_bytes() == b"graph"


@pytest.mark.parametrize(
    "content", [b"plain", b"", b"\x1f\x8b no gzip", b"PK\x03\x04 no zip", zipped({"a.npy": b""})]
)
def test_other_files_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "upload").write_bytes(content)
    assert opened(tmp_path / "upload", tmp_path / "unpacked") == tmp_path / "upload"
    assert not (tmp_path / "unpacked").exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"readme.txt": b"x", "other.txt": b"y"}, "and no model; expected the folder of an MLflow"),
        ({"a.onnx": b"x", "b.onnx": b"y"}, "2 ONNX files"),
        ({"/".join("abcdefghij") + "/f": b"x"}, "no model"),
    ],
)
def test_an_archive_without_one_model_is_refused(
    tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    (tmp_path / "upload").write_bytes(tarred(files))
    with pytest.raises(Unprocessable, match=says):
        opened(tmp_path / "upload", tmp_path / "unpacked")


def test_an_archive_of_one_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.ubj").write_bytes(b"12345")
    assert find_model(tmp_path) == tmp_path / "m" / "model.ubj"
    assert size_bytes(tmp_path) == size_bytes(tmp_path / "m" / "model.ubj") == 5


def test_a_joblib_file_in_gzip_is_not_a_folder(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "upload").write_bytes(gzip.compress(b"\x80\x04pickle" * 100))
    assert not is_packed_folder(tmp_path / "upload")
