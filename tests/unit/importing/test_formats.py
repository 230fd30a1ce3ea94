"""Telling what a model file is, from its content alone."""

import io
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx.helper as oh
import pytest

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.importing.formats import Format, check_framework, detect

UBJ_HEAD = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{}"


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def zipped(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return stream.getvalue()


def onnx_content() -> bytes:
    kind = oh.make_tensor_value_info("x", 1, ["n", 1])
    other = oh.make_tensor_value_info("y", 1, ["n", 1])
    graph = oh.make_graph([oh.make_node("Identity", ["x"], ["y"])], "g", [kind], [other])
    content: bytes = oh.make_model(graph).SerializeToString()
    return content


def found(tmp_path: Path, content: bytes, name: str = "model.bin", allow_code: bool = False) -> str:
    file = tmp_path / "content"
    file.write_bytes(content)
    return detect(file, name, allow_code)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (onnx_content(), Format.ONNX),
        (zipped(("schema.json", b"{}"), ("1.npy", b"x")), Format.SKOPS),
        (zipped(("m/models/model.json", b"{}"), ("m/byteorder", b"little")), Format.PT2),
        (zipped(("config.json", b"{}"), ("metadata.json", b"{}")), Format.KERAS),
        (b"tree\nversion=v4\n", Format.LIGHTGBM),
        (UBJ_HEAD, Format.XGBOOST_UBJ),
        (b'{"learner":{}}', Format.XGBOOST_JSON),
        (b' {\n "version": [3], "learner":{}}', Format.XGBOOST_JSON),
    ],
)
def test_content_tells_the_format_whatever_the_name(
    tmp_path: Path, content: bytes, expected: Format
) -> None:
    assert found(tmp_path, content, "model.pkl") == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps(Touch(canary), protocol)
    with pytest.raises(Unprocessable, match=r"runs code.*skops.*client\.register"):
        found(tmp_path, content, "model.bin")
    assert not canary.exists()


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("xz", 3)])
def test_joblib_files_are_refused_and_never_run(
    tmp_path: Path, compress: int | tuple[str, int]
) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.joblib"
    joblib.dump(Touch(canary), file, compress=compress)
    with pytest.raises(Unprocessable, match="runs code"):
        detect(file, file.name, allow_code=False)
    assert not canary.exists()


def test_a_pytorch_archive_is_refused_even_where_code_is_allowed(tmp_path: Path) -> None:
    content = zipped(("archive/data.pkl", pickle.dumps(Touch(tmp_path / "canary"))))
    with pytest.raises(Unprocessable, match="runs code"):
        found(tmp_path, content, "model.pt", allow_code=True)
    assert not (tmp_path / "canary").exists()


def test_a_pickle_is_accepted_where_code_is_allowed(tmp_path: Path) -> None:
    assert found(tmp_path, pickle.dumps([1]), allow_code=True) == Format.PICKLE


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match=r"'model\.bin' is empty"):
        found(tmp_path, b"")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"some text", "not a known model format"),
        (b"\x08", "not a known model format"),
        (onnx_content()[:-1], "not a known model format"),
        (onnx_content() + b"\x00", "not a known model format"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"binf", "retired binary format"),
        (b"PK\x03\x04 but no archive", "damaged zip"),
        (zipped(("weights.npy", b"x")), "not of skops"),
        (b'{"weights": []}', "without an XGBoost 'learner'"),
    ],
)
def test_other_content_is_refused_with_what_it_is(
    tmp_path: Path, content: bytes, says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        found(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped(("schema.json", b"{}"), ("A.npy", b""), ("a.npy", b"")), "two members of one name"),
        (zipped(("schema.json", b"{}"), ("../x", b"")), "leads out of the archive"),
        (zipped(("schema.json", b"{}"), ("/etc/x", b"")), "leads out of the archive"),
        (zipped(("schema.json", b"{}"), mode=stat.S_IFLNK | 0o777), "a link"),
        (zipped(("schema.json", bytes(10_000_000))), "unpacks from"),
    ],
)
def test_dangerous_archives_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        found(tmp_path, content)


@pytest.mark.parametrize("length", [0, 1, 3, 17, 4096])
def test_noise_is_never_taken_for_a_model(tmp_path: Path, length: int) -> None:
    for seed in range(40):
        noise = np.random.default_rng(seed).bytes(length)
        if not noise.startswith((b"\x80", b"(", b"c", b"]", b"}")):
            with pytest.raises(Unprocessable):
                found(tmp_path, noise)


@pytest.mark.parametrize("declared", ["xgboost", "XGBoost", "xgb", None])
def test_a_declared_framework_may_be_written_in_several_ways(declared: str | None) -> None:
    check_framework(declared, Format.XGBOOST_UBJ)


def test_a_declared_framework_that_differs_from_the_content_is_refused() -> None:
    with pytest.raises(Unprocessable, match=r"declared to be sklearn.*holds onnx"):
        check_framework("sklearn", Format.ONNX)


def test_a_framework_of_a_later_release_is_refused_with_the_way_out() -> None:
    with pytest.raises(Unprocessable, match="not part of this release; export the model to ONNX"):
        check_framework("catboost", Format.ONNX)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("pytorch", Format.PT2),
        ("tensorflow", Format.KERAS),
        ("keras", Format.SAVED_MODEL),
        ("mlflow", Format.MLFLOW),
        ("sklearn", Format.MLFLOW),
        ("python", Format.PYTHON),
    ],
)
def test_names_of_one_framework_are_taken_for_each_other(declared: str, found: Format) -> None:
    check_framework(declared, found)


@pytest.mark.parametrize("name", ["model.pt", "model.PTH"])
def test_a_pytorch_pickle_says_how_to_export(tmp_path: Path, name: str) -> None:
    old = pickle.dumps({"state": 1})
    zipped_one = zipped(("archive/data.pkl", old))
    for content in (old, zipped_one):
        with pytest.raises(Unprocessable, match=r"runs code.*torch\.export\.save.*model=module"):
            found(tmp_path, content, name, allow_code=True)


def test_torchscript_is_refused_with_the_way_out(tmp_path: Path) -> None:
    content = zipped(("m/data.pkl", b""), ("m/code/__torch__.py", b""), ("m/constants.pkl", b""))
    with pytest.raises(Unprocessable, match=r"TorchScript.*write files.*torch\.export\.save"):
        found(tmp_path, content, "model.pt")


def test_a_pickled_function_is_told_from_a_pickled_model_by_its_name(tmp_path: Path) -> None:
    content = pickle.dumps([1])
    assert found(tmp_path, content, "f.cloudpickle", allow_code=True) == Format.PYTHON
    with pytest.raises(Unprocessable, match=r"pickled Python function.*importing\.allow_code"):
        found(tmp_path, content, "f.cloudpickle")


def test_folders_are_told_by_their_marks(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "MLmodel").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "saved_model.pb").touch()
    (tmp_path / "c").mkdir()
    assert detect(tmp_path / "a", "a", allow_code=False) == Format.MLFLOW
    assert detect(tmp_path / "a", "a", allow_code=True) == Format.MLFLOW_CODE
    assert detect(tmp_path / "b", "b", allow_code=False) == Format.SAVED_MODEL
    with pytest.raises(Unprocessable, match="holds no model; expected the folder"):
        detect(tmp_path / "c", "c", allow_code=False)


def test_an_unknown_framework_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match="'prophet' is not known; expected one of sklearn"):
        check_framework("prophet", Format.ONNX)
