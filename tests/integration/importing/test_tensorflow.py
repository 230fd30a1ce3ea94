"""Keras models and SavedModels become servable, in ONNX Runtime where parity holds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.client.packaging import package
from augurium.client.sample_table import sample_table
from augurium.core.errors import Unprocessable
from augurium.core.tensors import BFLOAT16, TensorSpec
from augurium.importing.result import ImportResult
from augurium.importing.saved_model_file import check_saved_model
from augurium.runtimes.tensorflow import TensorflowModel, pack
from tests.support import keras_models as km

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]


def names(result: ImportResult) -> list[str]:
    return [spec.name for spec in (*result.signature.inputs, *result.signature.outputs)]


def test_a_keras_model_is_served_in_onnx_runtime_under_the_names_of_its_layers(
    import_content: Import, ask: Ask
) -> None:
    model = km.classifier()
    packaged = package(model)
    result = import_content(packaged.content, packaged.filename, framework=packaged.framework)
    assert (result.framework, result.runtime) == ("keras", "onnx")
    assert result.signature.inputs == (TensorSpec("features", "FP32", (-1, 4)),)
    assert result.signature.outputs == (TensorSpec("scores", "FP32", (-1, 3)),)
    rows = km.numbers(70, 4)
    np.testing.assert_allclose(
        ask(result, {"features": rows})["scores"], km.answers(model, rows), atol=1e-5
    )


def test_layers_of_many_kinds_answer_alike_under_their_names(
    import_content: Import, ask: Ask, tmp_path: Path
) -> None:
    model = km.of_all_kinds()
    result = import_content(km.saved(model, tmp_path), "model.keras")
    assert result.runtime == "onnx"
    shapes = {spec.name: spec.shape[1:] for spec in result.signature.inputs}
    assert set(shapes) == {"numbers", "days", "image", "tokens", "right"}
    rows = {name: km.numbers(9, *shape) for name, shape in shapes.items()}
    with km.quiet():
        expected = model(rows, training=False)
    found = ask(result, rows)
    assert set(found) == set(expected)
    for name, answers in expected.items():
        np.testing.assert_allclose(found[name], answers, rtol=1e-3, atol=1e-5, err_msg=name)


def test_what_onnx_has_no_operator_for_is_served_by_keras(
    import_content: Import, ask: Ask, tmp_path: Path
) -> None:
    model = km.of_texts()
    result = import_content(km.saved(model, tmp_path), "model.keras")
    assert result.runtime == "keras"
    assert "LookupTableFindV2" in result.report["engines"]["onnx"]["outcome"]
    cities = np.array([["Bern"], ["Wien"], ["Rom"]], np.object_)
    found = ask(result, {"city": cities})["price"]
    np.testing.assert_allclose(found, km.answers(model, cities.astype(str)), atol=1e-6)


def test_a_saved_model_is_served_under_the_names_of_its_signature(
    import_content: Import, ask: Ask, tmp_path: Path
) -> None:
    model = km.normalized()
    result = import_content(km.packed(km.exported(model, tmp_path)), "model.tar")
    assert (result.framework, result.runtime) == ("tensorflow", "onnx")
    assert names(result) == ["features", "output_0"]
    rows = km.numbers(6, 4)
    found = ask(result, {"features": rows})["output_0"]
    np.testing.assert_allclose(found, km.answers(model, rows), rtol=1e-3)


def test_a_saved_model_is_served_by_tensorflow_where_onnx_cannot(
    import_content: Import, ask: Ask, tmp_path: Path
) -> None:
    model = km.of_texts()
    result = import_content(km.packed(km.exported(model, tmp_path)), "model.tar")
    assert result.runtime == "tensorflow"
    cities = np.array([["Bern"], ["Rom"]], np.object_)
    found = ask(result, {"city": cities})["output_0"]
    np.testing.assert_allclose(found, km.answers(model, cities.astype(str)), atol=1e-6)


@pytest.mark.parametrize("form", ["made up", "json"])
def test_a_model_of_pictures_is_checked_with_some(
    import_content: Import, ask: Ask, tmp_path: Path, form: str
) -> None:
    content = km.packed(km.of_pictures(tmp_path))
    colours = [(200, 30, 60), (0, 255, 0), (9, 9, 9)]
    pictures = [km.jpeg(*colour) for colour in colours]
    table = sample_table({"image_bytes": pictures}) if form == "json" else None
    result = import_content(content, "model.tar", table=table)
    assert result.runtime == "tensorflow"
    assert result.signature.batched
    assert result.signature.inputs == (TensorSpec("image_bytes", "BYTES", (-1,)),)
    found = ask(result, {"image_bytes": np.array(pictures, object)})
    np.testing.assert_allclose(found["colours"], colours, atol=3)
    assert all(one.startswith(b"\x89PNG") for one in found["small"])


def test_bfloat16_comes_and_goes_as_such(import_content: Import, ask: Ask, tmp_path: Path) -> None:
    folder = km.saved_module(lambda x: x * 2, tmp_path, km.tensorflow.bfloat16)
    result = import_content(km.packed(folder), "model.tar")
    assert result.signature.inputs == (TensorSpec("x", "BF16", (-1, 3)),)
    rows = np.array([[1.5, -2.0, 0.125]], BFLOAT16)
    found = ask(result, {"x": rows})["y"]
    assert found.dtype == BFLOAT16
    assert found.tolist() == [[3.0, -4.0, 0.25]]


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        (lambda x, path: km.tensorflow.io.write_file(path, "x"), "the operation WriteFile"),
        (lambda x, path: km.tensorflow.io.read_file(path), "the operation ReadFile"),
        (lambda x, path: km.tensorflow.io.matching_files(path), "the operation MatchingFiles"),
        (
            lambda x, path: km.tensorflow.py_function(lambda v: v, [x], km.tensorflow.float32),
            "the operation EagerPyFunc",
        ),
        (
            lambda x, path: km.tensorflow.print("x", output_stream=f"file://{path}"),
            "the operation PrintV2",
        ),
        (
            lambda x, path: km.tensorflow.raw_ops.SaveV2(
                prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x]
            ),
            "the operation SaveV2",
        ),
    ],
)
def test_a_saved_model_that_touches_files_is_refused_for_its_operations(
    tmp_path: Path, operation: Callable[..., Any], says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        check_saved_model(saved_with(operation, tmp_path))


def test_a_saved_model_that_touches_files_is_refused_before_it_is_loaded(
    import_content: Import, tmp_path: Path
) -> None:
    folder = saved_with(lambda x, path: km.tensorflow.io.write_file(path, "x"), tmp_path)
    with pytest.raises(Unprocessable, match="the operation WriteFile"):
        import_content(km.packed(folder), "model.tar")
    assert not (tmp_path / "canary").exists()


def saved_with(operation: Callable[..., Any], folder: Path) -> Path:
    """A SavedModel that runs an operation on the path of a file `canary`."""

    def call(x: Any) -> Any:
        with km.tensorflow.control_dependencies([operation(x, str(folder / "canary"))]):
            return x * 2

    return km.saved_module(call, folder)


def with_layer(**layer: Any) -> Callable[[Any], None]:
    def edit(config: Any) -> None:
        config["config"]["layers"][1].update(layer)

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (with_layer(class_name="Lambda"), "a Lambda, which runs Python code"),
        (with_layer(class_name="TFSMLayer"), "a TFSMLayer, which loads another SavedModel"),
        (with_layer(class_name="TorchModuleWrapper"), "pickled PyTorch module"),
        (with_layer(module="os", class_name="system"), "the class 'system'.*not one of Keras"),
        (
            with_layer(module="keras.utils", class_name="get_file"),
            "the class 'get_file'.*not one of Keras",
        ),
        (
            with_layer(module=None, registered_name="own>Layer", class_name="Layer"),
            "the class 'own>Layer'.*model.export",
        ),
        (
            with_layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
            "its vocabulary from a file",
        ),
    ],
)
def test_layers_that_run_code_or_read_files_are_refused(
    import_content: Import, tmp_path: Path, edit: Callable[[Any], None], says: str
) -> None:
    content = km.edited(km.saved(km.classifier(), tmp_path), edit)
    with pytest.raises(Unprocessable, match=says):
        import_content(content, "model.keras")


def test_a_real_lambda_layer_is_refused_and_never_runs(
    import_content: Import, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    path = str(canary)

    def leave_a_trace(x: Any) -> Any:
        Path(path).touch()
        return x

    model = km.sequential(km.layers.Input((4,)), km.layers.Lambda(leave_a_trace))
    content = km.saved(model, tmp_path)
    canary.unlink(missing_ok=True)
    with pytest.raises(Unprocessable, match="Lambda"):
        import_content(content, "model.keras")
    assert not canary.exists()


def test_a_damaged_keras_file_is_refused(import_content: Import, tmp_path: Path) -> None:
    content = km.saved(km.classifier(), tmp_path)
    with pytest.raises(Unprocessable, match="damaged"):
        import_content(content[: len(content) // 2], "model.keras")


def test_an_hdf5_file_says_how_to_save_it_today(import_content: Import, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(Unprocessable, match=r"an HDF5 file.*save it as \.keras"):
        import_content((tmp_path / "model.h5").read_bytes(), "model.h5")


def test_weights_that_lie_in_another_file_are_refused(
    import_content: Import, tmp_path: Path
) -> None:
    import io
    import zipfile

    import h5py

    content = io.BytesIO(km.saved(km.classifier(), tmp_path))
    with h5py.File(tmp_path / "w.h5", "w") as weights:
        weights["layers"] = h5py.ExternalLink("/etc/passwd", "/x")
    forged = io.BytesIO()
    with zipfile.ZipFile(content) as before, zipfile.ZipFile(forged, "w") as after:
        for name in before.namelist():
            is_weights = name == "model.weights.h5"
            held = (tmp_path / "w.h5").read_bytes() if is_weights else before.read(name)
            after.writestr(name, held)
    with pytest.raises(Unprocessable, match="a link to somewhere else"):
        import_content(forged.getvalue(), "model.keras")


def test_a_saved_model_without_a_signature_says_how_to_save_it(tmp_path: Path) -> None:
    with km.quiet():
        km.tensorflow.saved_model.save(km.tensorflow.Module(), tmp_path / "bare")
    pack(tmp_path / "bare", tmp_path / "bare.tar")
    with pytest.raises(Unprocessable, match=r"no signature 'serving_default'.*model.export"):
        TensorflowModel(tmp_path / "bare.tar", {})
