"""What an engine checks before it loads a version into itself."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper
import onnx.parser
import pytest

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.core.settings import StorageSettings, WarmUpSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.loading import Loader
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


def test_a_damaged_file_is_loaded_once_it_is_whole_again(
    desired: DesiredVersion, config: NodeConfig, tmp_path: Path
) -> None:
    asked: list[str] = []
    whole = tmp_path / "fetched" / str(desired.weights_digest)
    whole.parent.mkdir()

    def mend(digest: str) -> Path:
        asked.append(digest)
        whole.write_bytes(VALUES.tobytes())
        return whole

    Path(desired.weights_path or "").write_bytes(bytes(VALUES.nbytes))
    version = Loader(config, mend).load(desired)
    assert version.run([np.array([3, 4095])])[0].tolist() == [3, 4095]
    assert asked == [desired.weights_digest]


def test_what_cannot_be_mended_is_not_loaded(desired: DesiredVersion, config: NodeConfig) -> None:
    Path(desired.path).unlink()
    with pytest.raises(ModelFailed, match="cannot be read"):
        Loader(config, lambda _: None).load(desired)


def test_a_file_that_was_not_mended_in_truth_is_not_loaded(
    desired: DesiredVersion, config: NodeConfig
) -> None:
    weights = Path(desired.weights_path or "")
    weights.write_bytes(bytes(VALUES.nbytes))
    with pytest.raises(ModelFailed, match="is damaged"):
        Loader(config, lambda _: weights).load(desired)


@pytest.mark.parametrize("verify", ["changed", "always"])
def test_a_file_changed_between_two_loads_is_noticed(
    desired: DesiredVersion, config: NodeConfig, verify: Literal["changed", "always"]
) -> None:
    settings = msgspec.structs.replace(config.settings, storage=StorageSettings(verify=verify))
    loader = Loader(msgspec.structs.replace(config, settings=settings))
    loader.load(desired)
    loader.load(desired)
    Path(desired.weights_path or "").write_bytes(bytes(VALUES.nbytes))
    with pytest.raises(ModelFailed, match="is damaged"):
        loader.load(desired)


ENDLESS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[rows] x) => (float[rows] y) {
  most = Constant<value: tensor = int64 {9223372036854775807}>()
  on = Constant<value: tensor = bool {1}>()
  y = Loop(most, on, x)<body = b (int64 i, bool on, float[rows] x) => (bool more, float[rows] z) {
    more = Identity(on)
    z = Identity(x)
  }>
}"""


def version_of(content: bytes, folder: Path, **fields: Any) -> DesiredVersion:
    file = folder / "model"
    file.write_bytes(content)
    return DesiredVersion("m", 1, "onnx", str(file), hashlib.sha256(content).hexdigest(), **fields)


def with_warm_up(config: NodeConfig, **fields: Any) -> NodeConfig:
    settings = msgspec.structs.replace(config.settings, warm_up=WarmUpSettings(**fields))
    return msgspec.structs.replace(config, settings=settings)


def test_a_model_that_never_answers_is_refused_in_time(config: NodeConfig, tmp_path: Path) -> None:
    one = TensorSpec("x", "FP32", (-1,)), TensorSpec("y", "FP32", (-1,))
    content = onnx.parser.parse_model(ENDLESS).SerializeToString()
    desired = version_of(content, tmp_path, signature=Signature(one[:1], one[1:]))
    loader = Loader(with_warm_up(config, timeout_s=0.2))
    with pytest.raises(ModelFailed, match=r"within 0\.4 s \(twice warm_up\.timeout_s\)"):
        loader.load(desired)
    assert 0.4 <= loader.warm_up_s("m", 1) < 5


def test_a_version_is_proven_once_per_engine(desired: DesiredVersion, config: NodeConfig) -> None:
    # the second example is one that the table does not have
    wrong = msgspec.structs.replace(desired, examples=(3, 4096))
    first, second = Loader(config, engine="engine-0"), Loader(config, engine="engine-1")
    for loader in (first, first, second):
        with pytest.raises(ModelFailed, match="warm-up failed on the example rows"):
            loader.load(wrong)
    first.load(desired)
    assert [
        len(list((config.home.proven / name).glob("*"))) for name in ("engine-0", "engine-1")
    ] == [1, 0]
    first.load(desired)
    again = Loader(config, engine="engine-0").load(desired)
    assert again.run([np.array([5])])[0].tolist() == [5]


def smaller_table() -> bytes:
    """A model whose table ends at 100."""
    smaller = np.zeros(100, np.float32)
    content: bytes = onnx.helper.make_model(
        oh.make_graph(
            [oh.make_node("Gather", ["w", "x"], ["y"])],
            "g",
            [oh.make_tensor_value_info("x", onnx.TensorProto.INT64, ["batch"])],
            [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch"])],
            [onnx.numpy_helper.from_array(smaller, "w")],
        ),
        opset_imports=[oh.make_opsetid("", 17)],
        ir_version=8,
    ).SerializeToString()
    return content


def test_traffic_warms_up_the_next_version(desired: DesiredVersion, config: NodeConfig) -> None:
    loader = Loader(config)
    loader.load(desired).run([np.array([4095])])
    folder = Path(desired.path).parent
    following = version_of(smaller_table(), folder, signature=desired.signature)
    with pytest.raises(ModelFailed, match="warm-up failed on recent requests"):
        loader.load(msgspec.structs.replace(following, model="table", version=2))
    # another model's requests are none of its business
    loader.load(msgspec.structs.replace(following, model="other"))


def test_an_engine_believes_another_unless_it_has_requests_of_its_own_to_try(
    desired: DesiredVersion, config: NodeConfig
) -> None:
    first, second = Loader(config, engine="engine-0"), Loader(config, engine="engine-1")
    folder = Path(desired.path).parent
    following = version_of(smaller_table(), folder, signature=desired.signature)
    following = msgspec.structs.replace(following, model="table", version=2)
    first.load(following)

    second.load(following)
    assert not (config.home.proven / "engine-1").exists()
    # from a row of its callers on, its own word counts
    second.load(desired).run([np.array([4095])])
    with pytest.raises(ModelFailed, match="warm-up failed on recent requests"):
        second.load(following)


@pytest.mark.parametrize("runtime", ["onnx", "torch", "xgboost"])
def test_a_version_for_a_device_that_is_not_here_does_not_fall_back_to_the_cpu(
    desired: DesiredVersion, load_version: LoadVersion, runtime: str
) -> None:
    wanted = msgspec.structs.replace(
        desired,
        runtime=runtime,
        options={},
        device=DevicePolicy(name="cuda:63"),
        weights_path=None,
        weights_digest=None,
    )
    with pytest.raises(ModelFailed, match=r"device|CUDA"):
        load_version(wanted)
