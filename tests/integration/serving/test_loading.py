"""What an engine checks before it loads a version into itself."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as oh
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.snapshot import DesiredVersion
from tests.integration.serving.conftest import LoadVersion

Runners = Callable[[], list[int]]
VALUES = np.arange(4096, dtype=np.float32)


@pytest.fixture
def desired(tmp_path: Path) -> DesiredVersion:
    """An ONNX version whose weights lie apart, as the artifact store keeps them."""
    content = VALUES.tobytes()
    digest = hashlib.sha256(content).hexdigest()
    weights = tmp_path / digest
    weights.write_bytes(content)
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=VALUES.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", digest), ("offset", "0"), ("length", str(len(content)))):
        tensor.external_data.add(key=key, value=value)
    graph = oh.make_graph(
        [oh.make_node("Gather", ["w", "x"], ["y"])],
        "g",
        [oh.make_tensor_value_info("x", onnx.TensorProto.INT64, ["batch"])],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch"])],
        [tensor],
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    servable = tmp_path / "servable"
    servable.write_bytes(model.SerializeToString())
    return DesiredVersion(
        model="table",
        version=1,
        runtime="onnx",
        path=str(servable),
        digest=hashlib.sha256(servable.read_bytes()).hexdigest(),
        signature=Signature((TensorSpec("x", "INT64", (-1,)),), (TensorSpec("y", "FP32", (-1,)),)),
        weights_path=str(weights),
        weights_digest=digest,
        options={"prepacking": "off"},
    )


def test_a_version_with_weights_apart_answers_in_the_engine(
    desired: DesiredVersion, load_version: LoadVersion, runners: Runners
) -> None:
    version = load_version(desired)
    assert version.run([np.array([3, 4095])])[0].tolist() == [3, 4095]
    assert runners() == []


def test_damaged_weights_are_not_loaded(desired: DesiredVersion, load_version: LoadVersion) -> None:
    Path(desired.weights_path or "").write_bytes(bytes(VALUES.nbytes))
    with pytest.raises(ModelFailed, match="is damaged"):
        load_version(desired)


def test_missing_weights_are_told(desired: DesiredVersion, load_version: LoadVersion) -> None:
    lost = msgspec.structs.replace(desired, weights_path="missing-artifact-1")
    with pytest.raises(ModelFailed, match="cannot be read: No such file"):
        load_version(lost)


def test_a_damaged_model_is_not_loaded(desired: DesiredVersion, load_version: LoadVersion) -> None:
    with pytest.raises(ModelFailed, match="is damaged"):
        load_version(msgspec.structs.replace(desired, digest="0" * 64))
