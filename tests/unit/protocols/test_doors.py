"""Every door of the data plane, REST and gRPC, opens to those who may enter and to nobody else."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from augurium.access.access import Access
from augurium.access.gateway import Gateway
from augurium.access.key_text import new_key_text
from augurium.access.keys import LiveKey
from augurium.access.ledger import Ledger
from augurium.access.patience import Patience
from augurium.access.rights import DATA_PLANE
from augurium.access.scopes import Scope
from augurium.core.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unimplemented,
)
from augurium.core.inference import InferenceRequest
from augurium.core.settings import LimitSettings
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
PUBLIC_PATHS = {"/", "/v2/health/live", "/v2/health/ready", "/ping", "/health"}
PUBLIC_CALLS = {"ServerLive", "ServerReady", "Check", "List", "Watch"}
OF_A_MODEL = (
    "ModelInfer",
    "ModelMetadata",
    "ModelReady",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
)
# of a label or a region that is not there
NO_SUCH = ("/labels/1", "/region/1/status")


class Version:
    """Says that a request has come through to it."""

    def __init__(self) -> None:
        self.metrics = VersionMetrics("m", 1)
        self.in_flight = 0
        self.guard = None
        self.log = None

    def submit(self, request: InferenceRequest) -> Any:
        raise InvalidArgument("came through")


@pytest.fixture
def plane() -> DataPlane:
    router: Router[Any] = Router()
    routes = {name: ModelRoutes({1: Version()}, {}, 1, {}) for name in ("fraud-eu", "churn")}
    router.replace(routes)
    return DataPlane(router, 10, 30.0)


class Doors:
    """Both APIs behind one gateway, and keys to it."""

    def __init__(self, plane: DataPlane, ledger: Ledger) -> None:
        self.gateway = Gateway(ledger, patience=Patience(free=10_000))
        self.rest = RestApi(plane, LimitSettings(), self.gateway, default_model="fraud-eu")
        self.grpc = GrpcApi(plane, self.gateway)
        self._keys: list[LiveKey] = []

    def key(self, *scopes: Scope, models: tuple[str, ...] = (), **rate: Any) -> str:
        """The header of a new key."""
        text = new_key_text("live")
        limits: dict[str, Any] = {"rate": 0.0, "burst": 0, "expires_at": None} | rate
        self._keys.append(LiveKey(text.id, "app", text.digest, scopes, models, **limits))
        self.gateway.renew(Access(keys=tuple(self._keys)))
        return f"Bearer {text.text}"

    async def ask(
        self, path: str, header: str | None = None, method: str = "", query: str = ""
    ) -> HttpResponse:
        headers = {} if header is None else {"authorization": header}
        body = b'{"inputs": [], "instances": [[1]]}'
        wanted = method or next((found for found, at in paths(self) if at == path), "GET")
        request = HttpRequest(wanted, path, headers.get, body, (), query)
        answer = await self.rest.handle(request)
        assert isinstance(answer, HttpResponse)
        return answer

    async def call(self, method: str, header: str | None = None, model: str = "fraud-eu") -> bytes:
        messages: dict[str, Message] = {
            "ModelInfer": pb.ModelInferRequest(model_name=model),
            "ModelStreamInfer": pb.ModelInferRequest(model_name=model),
            "ModelMetadata": pb.ModelMetadataRequest(name=model),
            "ModelReady": pb.ModelReadyRequest(name=model),
            "ModelConfig": pb.ModelConfigRequest(name=model),
            "ModelStatistics": pb.ModelStatisticsRequest(name=model),
            "RepositoryModelLoad": pb.RepositoryModelLoadRequest(model_name=model),
            "RepositoryModelUnload": pb.RepositoryModelUnloadRequest(model_name=model),
        }
        content = messages[method].SerializeToString() if method in messages else b""
        path = next((path for path in self.grpc.methods if path.endswith(f"/{method}")), method)
        if path in self.grpc.stream_paths:
            return await self._first(path, content, header)
        answer = await self.grpc.call(path, content, None, header)
        assert isinstance(answer, bytes)
        return answer

    async def _first(self, path: str, content: bytes, header: str | None) -> bytes:
        """The first answer of a stream that is sent one message."""

        async def messages() -> AsyncGenerator[bytes, None]:
            yield content

        metadata = {} if header is None else {"authorization": header}
        async with aclosing(self.grpc.stream(path, messages(), metadata)) as answers:
            answer = await anext(answers)
        assert isinstance(answer, bytes)
        return answer


@pytest.fixture
def doors(plane: DataPlane, tmp_path: Path) -> Iterator[Doors]:
    ledger = Ledger(tmp_path / "ledger")
    yield Doors(plane, ledger)
    ledger.close()


def paths(doors: Doors) -> list[tuple[str, str]]:
    """Every method and path there is."""
    return [(route.method, path) for route in doors.rest.routes for path in route.paths("fraud-eu")]


def calls(doors: Doors) -> list[str]:
    return [path.rpartition("/")[2] for path in doors.grpc.methods]


def test_every_operation_of_the_data_plane_has_its_rights_listed(doors: Doors) -> None:
    rest = {route.operation for route in doors.rest.routes}
    grpc = set(doors.grpc.methods.values())

    assert rest | grpc == set(DATA_PLANE)


async def test_without_a_key_every_route_and_method_of_rest_is_refused(doors: Doors) -> None:
    known = [path for _, path in paths(doors)]
    for path in [*known, "/v2/unknown", "/anything/else"]:
        if path in PUBLIC_PATHS:
            continue
        for method in METHODS:
            answer = await doors.ask(path, method=method)
            assert answer.status == 401, (method, path)
            assert ("www-authenticate", "Bearer") in answer.headers


async def test_the_public_routes_answer_everyone(doors: Doors) -> None:
    for path in PUBLIC_PATHS:
        assert (await doors.ask(path)).status in (200, 503), path


async def test_without_a_key_every_method_of_grpc_is_refused(doors: Doors) -> None:
    for name in [*calls(doors), "/x/Unknown"]:
        if name in PUBLIC_CALLS:
            await doors.call(name)
            continue
        with pytest.raises(Unauthenticated):
            await doors.call(name)


async def test_a_key_of_another_scope_is_told_so(doors: Doors) -> None:
    looking, nothing = doors.key(Scope.READ), doors.key()
    for method, path in paths(doors):
        if path in PUBLIC_PATHS:
            continue
        assert (await doors.ask(path, nothing, method)).status == 403, path
    for route in doors.rest.routes:
        for path in route.paths("fraud-eu") if route.operation == "infer" else ():
            assert (await doors.ask(path, looking, route.method)).status == 403, path
    for name in set(calls(doors)) - PUBLIC_CALLS:
        with pytest.raises(PermissionDenied):
            await doors.call(name, nothing)
    with pytest.raises(PermissionDenied):
        await doors.call("ModelInfer", looking)


async def test_a_key_with_the_scope_comes_through(doors: Doors) -> None:
    key, admin = doors.key(Scope.PREDICT), doors.key(Scope.ADMIN)
    for route in doors.rest.routes:
        enough = Scope.PREDICT in DATA_PLANE[route.operation].scopes
        for path in route.paths("fraud-eu"):
            if path in PUBLIC_PATHS:
                continue
            answer = await doors.ask(path, key if enough else admin, route.method)
            absent = () if any(part in path for part in NO_SUCH) else (404,)
            assert answer.status not in (401, 403, *absent), (path, answer)
    assert b"came through" in (await doors.ask("/v2/models/fraud-eu/infer", key)).body
    with pytest.raises(InvalidArgument, match="came through"):
        await doors.call("ModelInfer", key)
    with pytest.raises(Unimplemented):
        await doors.call("/x/Unknown", key)


async def test_what_changes_the_node_needs_more_than_to_predict(doors: Doors) -> None:
    changing = {"load": Scope.DEPLOY, "unload": Scope.DEPLOY, "logging": Scope.ADMIN}
    less = doors.key(Scope.PREDICT, Scope.READ)
    enough = {operation: doors.key(scope) for operation, scope in changing.items()}
    for route in doors.rest.routes:
        for path in route.paths("fraud-eu") if route.operation in changing else ():
            assert (await doors.ask(path, less, route.method)).status == 403, path
            answer = await doors.ask(path, enough[route.operation], route.method)
            assert answer.status in (501, 503), path
    for call in ("RepositoryModelLoad", "RepositoryModelUnload", "LogSettings"):
        with pytest.raises(PermissionDenied):
            await doors.call(call, less)


async def test_the_log_of_a_node_is_for_those_who_see_every_model(doors: Doors) -> None:
    key = doors.key(Scope.ADMIN, models=("fraud-*",))

    assert (await doors.ask("/v2/logging", key)).status == 403
    with pytest.raises(PermissionDenied):
        await doors.call("LogSettings", key)


async def test_every_bad_key_gets_the_same_body(doors: Doors) -> None:
    bad = [None, "", "Bearer", "Bearer x", "Basic x", f"Bearer {new_key_text('live').text}"]
    answers = [await doors.ask("/v2/models", header) for header in bad]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1


async def test_a_model_outside_the_pattern_is_one_that_is_not_there(doors: Doors) -> None:
    key = doors.key(*Scope, models=("fraud-*",))

    def told_of(model: str, answer: HttpResponse) -> tuple[int, str]:
        return answer.status, answer.body.decode().replace(model, "MODEL")

    for method, path in paths(doors):
        if "fraud-eu" not in path:
            continue
        hidden = await doors.ask(path.replace("fraud-eu", "churn"), key, method)
        absent = await doors.ask(path.replace("fraud-eu", "absent"), key, method)
        assert hidden.status == 404, path
        assert told_of("churn", hidden) == told_of("absent", absent)
    for name in OF_A_MODEL:
        with pytest.raises(NotFound) as hidden_call:
            await doors.call(name, key, "churn")
        with pytest.raises(NotFound) as absent_call:
            await doors.call(name, key, "absent")
        assert str(hidden_call.value).replace("churn", "absent") in str(absent_call.value)


async def test_an_alias_does_not_lead_around_the_pattern(doors: Doors) -> None:
    key = doors.key(Scope.PREDICT, models=("fraud-*",))

    assert (await doors.ask("/v2/models/churn@1/infer", key, "POST")).status == 404
    with pytest.raises(NotFound):
        await doors.call("ModelInfer", key, "churn@1")


async def test_invocations_without_a_model_ask_only_one_that_the_caller_sees(
    doors: Doors, plane: DataPlane
) -> None:
    fraud, churn = (doors.key(Scope.PREDICT, models=(one,)) for one in ("fraud-*", "churn"))
    undecided = RestApi(plane, LimitSettings(), doors.gateway)

    async def told(rest: RestApi, key: str) -> tuple[int, str]:
        headers = {"authorization": key, "content-type": "application/json"}
        request = HttpRequest("POST", "/invocations", headers.get, b"{}")
        answer = await rest.handle(request)
        assert isinstance(answer, HttpResponse)
        return answer.status, answer.body.decode()

    assert (await told(doors.rest, churn))[0] == 404
    assert "Request for unknown model: 'fraud-eu'" in (await told(doors.rest, churn))[1]
    assert (await told(undecided, doors.key(Scope.PREDICT)))[0] == 404
    for key in (fraud, churn):
        # the only one that this key may ask: the request gets as far as its version
        assert (await told(undecided, key))[0] not in (403, 404)


async def test_lists_hold_the_models_of_the_pattern(doors: Doors) -> None:
    key = doors.key(Scope.READ, models=("fraud-*",))

    for path in ("/v1/models", "/v2/models"):
        assert json.loads((await doors.ask(path, key)).body) == {"models": ["fraud-eu"]}


async def test_a_key_in_the_address_is_refused_also_beside_a_good_one(doors: Doors) -> None:
    key = doors.key(Scope.READ)

    assert (await doors.ask("/v2/models", key, query="api_key=abc")).status == 401
    assert (await doors.ask("/v2/models", key, query="verbose=1")).status == 200


async def test_a_rate_is_told_with_every_answer_and_ends_in_429(doors: Doors) -> None:
    key = doors.key(Scope.READ, rate=0.001, burst=2)
    first, second, third = [await doors.ask("/v2/models", key) for _ in range(3)]

    assert dict(first.headers)["ratelimit-remaining"] == "1"
    assert dict(second.headers)["ratelimit-limit"] == "2"
    assert third.status == 429
    assert int(dict(third.headers)["retry-after"]) == pytest.approx(1000, abs=2)
    with pytest.raises(RateLimited):
        await doors.call("ServerMetadata", key)


async def test_a_node_that_asks_for_no_keys_looks_at_no_header(plane: DataPlane) -> None:
    rest, grpc = RestApi(plane, LimitSettings()), GrpcApi(plane)
    headers = {"authorization": "Bearer garbage"}
    answer = await rest.handle(HttpRequest("GET", "/v2/models", headers.get, b""))

    assert answer.status == 200
    assert grpc.knows("Bearer garbage", ())
    assert await grpc.call("/inference.GRPCInferenceService/ServerMetadata", b"")
