"""ONNX models whose weights lie in other files: honest ones are served, hostile ones refused."""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import numpy_helper

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.importing.external_data import consolidate, has_external_data
from augurium.runtimes.runtime import load
from tests.integration.importing.conftest import Import

WIDTH = 64


def matrix_model(width: int = WIDTH, count: int = 3) -> Any:
    """Multiplies by `count` matrices, one after another, and adds a small vector."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(
            (rng.normal(size=(width, width)) / width**0.5).astype(np.float32), f"w{number}"
        )
        for number in range(count)
    ]
    weights.append(numpy_helper.from_array(np.ones(width, np.float32), "bias"))
    nodes = [
        oh.make_node("MatMul", [f"h{number}" if number else "x", f"w{number}"], [f"h{number + 1}"])
        for number in range(count)
    ]
    nodes.append(oh.make_node("Add", [f"h{count}", "bias"], ["y"]))
    kind, shape = onnx.TensorProto.FLOAT, ["batch", width]
    graph = oh.make_graph(
        nodes,
        "g",
        [oh.make_tensor_value_info("x", kind, shape)],
        [oh.make_tensor_value_info("y", kind, shape)],
        weights,
    )
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, "model")
    return buffer.getvalue()


def saved(folder: Path, model: Any, one_file: bool = True) -> Path:
    folder.mkdir()
    onnx.save(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=one_file,
        location="model.onnx.data" if one_file else None,
        size_threshold=1024,
    )
    return folder


@pytest.mark.parametrize("one_file", [True, False])
def test_a_model_with_external_weights_is_served_as_it_was(
    one_file: bool, import_content: Import, tmp_path: Path
) -> None:
    model = matrix_model()
    rows = np.random.default_rng(1).normal(size=(5, WIDTH)).astype(np.float32)
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(model.SerializeToString())
    expected = load("onnx", whole, {}).run({"x": rows})[0]

    result = import_content(packed(saved(tmp_path / "made", model, one_file)), "model.tar")

    assert result.weights is not None
    assert result.weights.name == hashlib.sha256(result.weights.read_bytes()).hexdigest()
    assert result.servable.stat().st_size < 3000 < result.weights.stat().st_size
    served = load(result.runtime, result.servable, result.options, result.weights)
    np.testing.assert_array_equal(served.run({"x": rows})[0], expected)


def table_model(rows: int) -> Any:
    """Looks rows up in a table: large, and soon done."""
    table = numpy_helper.from_array(np.ones((rows, WIDTH), np.float32), "table")
    graph = oh.make_graph(
        [oh.make_node("Gather", ["table", "x"], ["y"])],
        "g",
        [oh.make_tensor_value_info("x", onnx.TensorProto.INT64, ["batch"])],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        [table],
    )
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)


def test_large_weights_are_mapped_and_shared(import_content: Import, tmp_path: Path) -> None:
    content = packed(saved(tmp_path / "made", table_model(2**20 + 1)))

    result = import_content(content, "model.tar")

    assert result.options["prepacking"] == "off"
    assert any("processes share the weights" in note for note in result.report["notes"])


def test_large_weights_of_a_single_file_are_set_apart(
    import_content: Import, tmp_path: Path
) -> None:
    model = table_model(2**20 + 1)

    result = import_content(model.SerializeToString(), "model.onnx")

    assert result.servable.stat().st_size < 3000
    assert result.weights is not None
    assert result.weights.name == hashlib.sha256(result.weights.read_bytes()).hexdigest()
    assert result.options["prepacking"] == "off"
    found = result.report["weights"]
    assert found["own_bytes"] < 0.1 * found["weights_bytes"]
    assert set(found["latency_ms"]["off"]) == set(found["latency_ms"]["on"]) == {"1", "64"}
    served = load(result.runtime, result.servable, result.options, result.weights)
    assert served.run({"x": np.array([2**20])})[0].tolist() == [[1.0] * WIDTH]


@pytest.mark.parametrize("asked", ["on", "off"])
def test_the_owner_of_a_model_decides_about_prepacking(import_content: Import, asked: str) -> None:
    result = import_content(matrix_model().SerializeToString(), "model.onnx", prepacking=asked)

    assert result.options.get("prepacking", "on") == asked
    assert result.report["weights"] == {"prepacking": asked, "because": "it was asked for"}


def test_a_model_uploaded_without_its_weights_is_refused(
    import_content: Import, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "made", matrix_model())
    with pytest.raises(Unprocessable, match="register the folder that holds the model"):
        import_content((folder / "model.onnx").read_bytes(), "model.onnx")


def test_a_folder_without_the_weights_is_refused(import_content: Import, tmp_path: Path) -> None:
    folder = saved(tmp_path / "made", matrix_model())
    (folder / "model.onnx.data").unlink()
    with pytest.raises(Unprocessable, match="upload the model and its weights together"):
        import_content(packed(folder), "model.tar")


def test_weights_under_another_name_are_not_loaded(tmp_path: Path) -> None:
    folder = saved(tmp_path / "made", matrix_model())
    other = folder / ("0" * 64)
    (folder / "model.onnx.data").rename(other)
    with pytest.raises(ModelFailed):
        load("onnx", folder / "model.onnx", {}, other)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights, beside things that must not be read."""
    (tmp_path / "secret").write_bytes(bytes(64))
    work, folder = tmp_path / "work", tmp_path / "made"
    work.mkdir()
    folder.mkdir()
    (folder / "sub").mkdir()
    (folder / "data").write_bytes(bytes(64))
    (folder / "linked").symlink_to("../secret")
    (folder / "away").symlink_to("..")
    os.link(tmp_path / "secret", folder / "hard")
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(work)
    return folder


def pointing(*places: dict[str, str], shape: tuple[int, ...] = (16,), kind: int = 1) -> Any:
    """A model whose weights claim to lie at `places`."""
    model = onnx.ModelProto()
    for number, place in enumerate(places):
        tensor = model.graph.initializer.add()
        tensor.name, tensor.data_type = f"w{number}", kind
        tensor.dims.extend(shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
    return model


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd", "../secret", "sub/../../secret", "a/../../secret", "./data", "", ".", "..",
        "linked", "away/secret", "hard", "pipe", "sub", "http://127.0.0.1/data", "file:data",
        "C:\\data", "sub\\data", "data\x00", "gone", "data/x", "x" * 2000,
    ],
)  # fmt: skip
def test_a_place_that_is_no_plain_file_beside_the_model_is_refused(
    location: str, hostile: Path
) -> None:
    with pytest.raises(Unprocessable):
        consolidate(pointing({"location": location}), hostile)


@pytest.mark.parametrize(
    "place",
    [
        {"offset": "-1"}, {"offset": "1"}, {"offset": str(2**63)}, {"offset": "9" * 30},
        {"offset": "0x0"}, {"offset": "\u0661"}, {"length": "-64"}, {"length": "65"},
        {"length": "0"}, {"length": str(2**62)}, {"length": ""}, {"basepath": "/"},
    ],
)  # fmt: skip
def test_a_part_of_a_file_that_cannot_be_is_refused(place: dict[str, str], hostile: Path) -> None:
    with pytest.raises(Unprocessable):
        consolidate(pointing({"location": "data", **place}), hostile)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((-16,), 1), ((2**40, 2**40), 1), ((16,), 8), ((16,), 99), ((16,), 0)],
)
def test_a_tensor_that_cannot_lie_in_a_file_is_refused(
    shape: tuple[int, ...], kind: int, hostile: Path
) -> None:
    with pytest.raises(Unprocessable):
        consolidate(pointing({"location": "data"}, shape=shape, kind=kind), hostile)


def test_a_place_said_twice_is_refused(hostile: Path) -> None:
    model = pointing({"location": "data"})
    model.graph.initializer[0].external_data.add(key="location", value="../secret")
    with pytest.raises(Unprocessable, match="is described by"):
        consolidate(model, hostile)


def test_weights_that_overlap_are_refused(hostile: Path) -> None:
    places = [{"location": "data", "offset": str(offset)} for offset in (0, 4, 8, 12, 16)]
    with pytest.raises(Unprocessable, match="has 64 bytes, but 80 are used"):
        consolidate(pointing(*places, shape=(4,)), hostile)


def test_weights_of_the_same_place_are_kept_once(hostile: Path) -> None:
    model = pointing({"location": "data"}, {"location": "data", "length": "64"})
    assert consolidate(model, hostile).size_bytes == 64


def test_weights_in_subgraphs_are_found_too(hostile: Path) -> None:
    inner = pointing({"location": "../secret"}).graph
    model = onnx.ModelProto()
    model.graph.node.append(oh.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))
    assert has_external_data(model)
    with pytest.raises(Unprocessable):
        consolidate(model, hostile)
