"""What the payload benchmark sends: rows and images as binary tensors, and their models."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from benchmarks.workload import FEATURES, MODEL, SEED, Floats, Workload, infer_request

IMAGE, LINEAR, NATIVE = "image", "linear", "native"
IMAGE_SHAPE = (64, 3, 224, 224)
IMAGE_BYTES = int(np.prod(IMAGE_SHAPE)) * 4
HEAD_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Bodies:
    """Requests of equal size behind one another in a file, and the headers they go with."""

    model: str
    file: Path
    size: int
    headers: dict[str, str]


@dataclass(frozen=True)
class PayloadFiles:
    """Model files, and requests: `rows` and `images` for REST, `row_message` and `image_message`
    for gRPC, with their prefix.
    """

    linear_model: Path
    image_model: Path
    rows: Bodies
    images: Bodies
    row_message: Path
    image_message: Path


def build(folder: Path, workload: Workload) -> PayloadFiles:
    """Writes everything into `folder`; the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    image = random.random(IMAGE_SHAPE, np.float32)
    _write_models(folder, random)
    rows = [_binary_body("features", row.reshape(1, -1)) for row in workload.rows]
    (folder / "image.message").write_bytes(_framed(_image_request(image)))
    return PayloadFiles(
        folder / "linear.onnx",
        folder / "image.onnx",
        _bodies(MODEL, folder / "rows.bin", rows),
        _bodies(IMAGE, folder / "images.bin", [_binary_body("x", image)]),
        _written(folder / "row.message", _framed(infer_request(workload.rows[0]))),
        folder / "image.message",
    )


def _bodies(model: str, file: Path, bodies: list[tuple[int, bytes]]) -> Bodies:
    (head,), (size,) = {head for head, _ in bodies}, {len(body) for _, body in bodies}
    file.write_bytes(b"".join(body for _, body in bodies))
    headers = {HEAD_LENGTH: str(head), "Content-Type": "application/octet-stream"}
    return Bodies(model, file, size, headers)


def _binary_body(name: str, tensor: Floats) -> tuple[int, bytes]:
    """The length of the JSON of a v2 request, and the request: raw tensors both ways."""
    content = tensor.astype("<f4").tobytes()
    described: dict[str, Any] = {"name": name, "shape": tensor.shape, "datatype": "FP32"}
    described["parameters"] = {"binary_data_size": len(content)}
    request = {"inputs": [described], "parameters": {"binary_data_output": True}}
    head = json.dumps(request, separators=(",", ":")).encode()
    return len(head), head + content


def _image_request(image: Floats) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=IMAGE)
    request.inputs.add(name="x", datatype="FP32").shape.extend(image.shape)
    request.raw_input_contents.append(image.tobytes())
    return request


def _framed(request: service_pb2.ModelInferRequest) -> bytes:
    content: bytes = request.SerializeToString()
    return b"\0" + len(content).to_bytes(4) + content


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def _write_models(folder: Path, random: np.random.Generator) -> None:
    """An identity of images, and the least that can be done with a row: two weighted sums."""
    from onnx import TensorProto, helper, numpy_helper, save

    def write(name: str, node: Any, ins: Any, outs: Any, weights: Any = ()) -> None:
        graph = helper.make_graph([node], name, [ins], [outs], weights)
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        save(model, folder / f"{name}.onnx")

    def floats(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *shape])

    one = IMAGE_SHAPE[1:]
    identity = helper.make_node("Identity", ["x"], ["y"])
    write(IMAGE, identity, floats("x", *one), floats("y", *one))
    weights = numpy_helper.from_array(random.normal(size=(FEATURES, 2)).astype(np.float32), "w")
    sums = helper.make_node("MatMul", ["features", "w"], ["y"])
    write(LINEAR, sums, floats("features", FEATURES), floats("y", 2), [weights])
