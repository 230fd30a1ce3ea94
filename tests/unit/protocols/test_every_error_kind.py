"""Every error kind, raised where a version takes a request, as REST and gRPC callers see it."""

import asyncio
import json
from typing import Any

import pytest

from augurium.core import errors
from augurium.core.errors import AuguriumError, ErrorKind, Overloaded
from augurium.core.inference import Answer, InferenceRequest
from augurium.core.settings import LimitSettings
from augurium.protocols.errors_grpc import GrpcStatus
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.grpc_frames import status_trailers
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router

EXPECTED = {
    ErrorKind.INVALID_ARGUMENT: (400, GrpcStatus.INVALID_ARGUMENT),
    ErrorKind.TOO_LARGE: (413, GrpcStatus.RESOURCE_EXHAUSTED),
    ErrorKind.UNSUPPORTED_MEDIA: (415, GrpcStatus.UNIMPLEMENTED),
    ErrorKind.METHOD_NOT_ALLOWED: (405, GrpcStatus.UNIMPLEMENTED),
    ErrorKind.NOT_FOUND: (404, GrpcStatus.NOT_FOUND),
    ErrorKind.CONFLICT: (409, GrpcStatus.ALREADY_EXISTS),
    ErrorKind.UNPROCESSABLE: (422, GrpcStatus.FAILED_PRECONDITION),
    ErrorKind.UNAUTHENTICATED: (401, GrpcStatus.UNAUTHENTICATED),
    ErrorKind.PERMISSION_DENIED: (403, GrpcStatus.PERMISSION_DENIED),
    ErrorKind.RATE_LIMITED: (429, GrpcStatus.RESOURCE_EXHAUSTED),
    ErrorKind.NOT_READY: (503, GrpcStatus.UNAVAILABLE),
    ErrorKind.OVERLOADED: (503, GrpcStatus.UNAVAILABLE),
    ErrorKind.DEADLINE_EXCEEDED: (504, GrpcStatus.DEADLINE_EXCEEDED),
    ErrorKind.CANCELLED: (499, GrpcStatus.CANCELLED),
    ErrorKind.UNIMPLEMENTED: (501, GrpcStatus.UNIMPLEMENTED),
    ErrorKind.INSUFFICIENT_STORAGE: (507, GrpcStatus.RESOURCE_EXHAUSTED),
    ErrorKind.MODEL_FAILED: (500, GrpcStatus.INTERNAL),
    ErrorKind.INTERNAL: (500, GrpcStatus.INTERNAL),
}
CLASSES = {
    found.kind: found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, AuguriumError) and found is not AuguriumError
}


class RefusingVersion:
    """A version that answers every request with one error."""

    def __init__(self, error: Exception) -> None:
        self.metrics = VersionMetrics("m", 1)
        self.in_flight = 0
        self.guard = None
        self.log = None
        self._error = error

    def submit(self, request: InferenceRequest) -> "asyncio.Future[Answer]":
        raise self._error


def plane_of(error: Exception) -> tuple[DataPlane, VersionMetrics]:
    version = RefusingVersion(error)
    router: Router[Any] = Router()
    router.replace({"m": ModelRoutes({1: version}, {}, 1, {})})
    return DataPlane(router, 10, 30.0), version.metrics


async def over_rest(plane: DataPlane) -> HttpResponse:
    api = RestApi(plane, LimitSettings())
    body = b'{"inputs": []}'
    headers: dict[str, str] = {}
    request = HttpRequest("POST", "/v2/models/m/infer", headers.get, body)
    answer = await api.handle(request)
    assert isinstance(answer, HttpResponse)
    return answer


async def over_grpc(plane: DataPlane) -> dict[bytes, bytes]:
    """The status of a failed call."""
    content = pb.ModelInferRequest(model_name="m").SerializeToString()
    with pytest.raises(AuguriumError) as caught:
        await GrpcApi(plane).call("/inference.GRPCInferenceService/ModelInfer", content)
    return dict(status_trailers(caught.value))


def test_every_kind_is_expected_here() -> None:
    assert set(EXPECTED) == set(ErrorKind) == set(CLASSES)


@pytest.mark.parametrize("kind", EXPECTED)
async def test_a_kind_has_its_code_and_the_same_text_in_both_transports(kind: ErrorKind) -> None:
    status, code = EXPECTED[kind]
    plane, metrics = plane_of(CLASSES[kind]("what was wrong"))
    response = await over_rest(plane)
    headers = await over_grpc(plane)
    assert response.status == status
    assert ("content-type", "application/json") in response.headers
    assert json.loads(response.body)["error"].endswith("what was wrong")
    assert headers[b"grpc-status"] == str(int(code)).encode()
    assert headers[b"grpc-message"].endswith(b"what was wrong")
    assert metrics.outcomes == {kind: 2}
    waits = kind in (ErrorKind.NOT_READY, ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED)
    assert ("retry-after" in dict(response.headers)) == waits
    assert (b"retry-after" in headers) == (b"grpc-retry-pushback-ms" in headers) == waits
    assert dict(response.headers)["augurium-error"] == headers[b"augurium-error"].decode() == kind


async def test_when_to_try_again_is_told_as_each_transport_has_it() -> None:
    plane, metrics = plane_of(Overloaded("full", 1.2, "queue_delay"))
    headers = dict((await over_rest(plane)).headers)
    trailers = await over_grpc(plane)
    assert headers["retry-after"] == trailers[b"retry-after"].decode() == "2"
    assert trailers[b"grpc-retry-pushback-ms"] == b"1200"
    assert metrics.refused == {"queue_delay": {"normal": 2}}

    soon, _ = plane_of(Overloaded("full", 0.01))
    assert dict((await over_rest(soon)).headers)["retry-after"] == "1"
    assert (await over_grpc(soon))[b"grpc-retry-pushback-ms"] == b"10"


async def test_a_fault_of_ours_tells_a_reference_and_nothing_else() -> None:
    plane, metrics = plane_of(RuntimeError("secret path"))
    response = await over_rest(plane)
    headers = await over_grpc(plane)
    assert response.status == 500
    assert headers[b"grpc-status"] == b"13"
    for text in (response.body, headers[b"grpc-message"]):
        assert b"secret" not in text
        assert b"internal error; the log has it under" in text
    assert metrics.outcomes == {ErrorKind.INTERNAL: 2}
