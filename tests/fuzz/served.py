"""Both APIs over a real model in this process, and a neighbour that asks beside every request.

What is sent may be anything. It is answered in time and never with a fault of the server, and the
neighbour, whose rows may share its model run, gets its own answer.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import cloudpickle
import numpy as np

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi
from augurium.serving.plane import DataPlane
from augurium.serving.snapshot import BatchingPolicy
from tests.support.models import simple_model, text_model
from tests.support.planes import plane_of

ANSWER_S = 5.0
INFER = "/inference.GRPCInferenceService/ModelInfer"
# 501: not supported; 503, 504: a caller may ask for less time than there is
NEVER = frozenset({500, 502, 505})
NEVER_KINDS = frozenset({ErrorKind.INTERNAL, ErrorKind.MODEL_FAILED})


def same_picture(columns: dict[str, Array]) -> Array:
    """A model that takes any bytes, and gives them back."""
    return columns["image"]


MODELS = {
    "simple": (
        simple_model,
        Signature(
            tuple(TensorSpec(f"INPUT{i}", "INT32", (-1, 16)) for i in range(2)),
            tuple(TensorSpec(f"OUTPUT{i}", "INT32", (-1, 16)) for i in range(2)),
        ),
    ),
    "text": (
        text_model,
        Signature((TensorSpec("text", "BYTES", (-1, 2)),), (TensorSpec("same", "BYTES", (-1, 2)),)),
    ),
    "image": (
        lambda: cloudpickle.dumps(same_picture),
        Signature((TensorSpec("image", "BYTES", (-1,)),), (TensorSpec("same", "BYTES", (-1,)),)),
    ),
}
FIRST, SECOND = np.arange(16, dtype=np.int32), np.full(16, 7, np.int32)


class Served:
    """The models behind both APIs, on an event loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        plane = self._loop.run_until_complete(_plane())
        self._rest = RestApi(plane, LimitSettings())
        self._grpc = GrpcApi(plane)

    @property
    def grpc_methods(self) -> list[str]:
        """The paths of all methods that come to an end by themselves."""
        return [path for path in self._grpc.methods if not path.endswith("/Watch")]

    def close(self) -> None:
        """Ends the event loop."""
        self._loop.close()

    def post(self, path: str, headers: dict[str, str], body: bytes) -> HttpResponse:
        """The whole answer; the pieces of one that is streamed are put together."""

        async def asked() -> HttpResponse:
            answer = await self._rest.handle(HttpRequest("POST", path, headers.get, body))
            if isinstance(answer, HttpResponse):
                return answer
            pieces = [piece async for piece in answer.chunks]
            return HttpResponse(answer.status, answer.headers, b"".join(pieces))

        return self._loop.run_until_complete(asked())

    def call(self, path: str, message: bytes) -> bytes:
        """The answer of a unary method. Raises AuguriumError."""
        answer = self._loop.run_until_complete(self._grpc.call(path, message))
        assert isinstance(answer, bytes)
        return answer

    def ask_rest(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Raises AssertionError when the answer, or the neighbour's, is not as it must be."""
        status = self._loop.run_until_complete(self._rest_beside(method, path, headers, body))
        assert status not in NEVER, f"{method} {path} was answered with {status}"

    def ask_grpc(self, path: str, message: bytes) -> None:
        """As `ask_rest`."""
        kind = self._loop.run_until_complete(self._grpc_beside(path, message))
        assert kind not in NEVER_KINDS, f"{path} was answered with {kind}"

    async def _rest_beside(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> int:
        async with asyncio.timeout(ANSWER_S):
            answer, _ = await asyncio.gather(
                self._rest.handle(HttpRequest(method, path, headers.get, body)), self._neighbour()
            )
            if not isinstance(answer, HttpResponse):
                async for piece in answer.chunks:
                    assert isinstance(piece, bytes)
        return answer.status

    async def _grpc_beside(self, path: str, message: bytes) -> ErrorKind | None:
        streamed = path in self._grpc.stream_paths
        asked = self._streamed(path, message) if streamed else self._grpc.call(path, message)
        async with asyncio.timeout(ANSWER_S):
            found, neighbour = await asyncio.gather(
                asked, self._neighbour(), return_exceptions=True
            )
        if isinstance(neighbour, BaseException):
            raise neighbour
        if isinstance(found, AuguriumError):
            return found.kind
        if isinstance(found, BaseException):
            raise found
        return None

    async def _streamed(self, path: str, message: bytes) -> None:
        """Sends the message three times; the answers are as many, or an error ends them."""

        async def messages() -> AsyncGenerator[bytes, None]:
            for _ in range(3):
                yield message

        count = 0
        async with aclosing(self._grpc.stream(path, messages(), {})) as answers:
            async for answer in answers:
                count += 1
                assert isinstance(answer, bytes)
                assert b"internal error" not in answer
        assert count == 3

    async def _neighbour(self) -> None:
        tensor = {"shape": [1, 16], "datatype": "INT32"}
        body = {
            "inputs": [
                {"name": "INPUT0", "data": FIRST.tolist(), **tensor},
                {"name": "INPUT1", "data": SECOND.tolist(), **tensor},
            ]
        }
        headers: dict[str, str] = {}
        content = json.dumps(body).encode()
        request = HttpRequest("POST", "/v2/models/simple/infer", headers.get, content)
        answer = await self._rest.handle(request)
        assert isinstance(answer, HttpResponse)
        assert answer.status == 200, answer
        outputs = {found["name"]: found["data"] for found in json.loads(answer.body)["outputs"]}
        assert outputs["OUTPUT0"] == (FIRST + SECOND).tolist(), outputs
        assert outputs["OUTPUT1"] == (FIRST - SECOND).tolist(), outputs


async def _plane() -> DataPlane:
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for name, (content, signature) in MODELS.items():
            file = Path(folder) / f"{name}.{'cloudpickle' if name == 'image' else 'onnx'}"
            file.write_bytes(content())
            models[name] = (file, signature)
        return plane_of(models, BatchingPolicy())


def image_message() -> bytes:
    """A good `ModelInferRequest` for `image`, of bytes that are not UTF-8."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[2])
    tensor.contents.bytes_contents.extend([b"\xff\xd8", b"a"])
    return pb.ModelInferRequest(model_name="image", inputs=[tensor]).SerializeToString()


def infer_message(rows: int = 1) -> bytes:
    """A good `ModelInferRequest` for `simple`."""
    tensors = [
        pb.ModelInferRequest.InferInputTensor(name=f"INPUT{i}", datatype="INT32", shape=[rows, 16])
        for i in range(2)
    ]
    raw = [np.tile(FIRST, rows).tobytes(), np.tile(SECOND, rows).tobytes()]
    return pb.ModelInferRequest(
        model_name="simple", id="1", inputs=tensors, raw_input_contents=raw
    ).SerializeToString()
