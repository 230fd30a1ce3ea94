"""Configuration, statistics, repository and logging over both protocols, with control in memory."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from augurium.access.principal import Principal
from augurium.access.scopes import Scope
from augurium.core.errors import InvalidArgument, NotReady, Unimplemented
from augurium.core.identifiers import ModelRef
from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.oip import EXTENSIONS
from augurium.protocols.oip_repository import OipRepository
from augurium.protocols.rest import RestApi
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.questions import BatchingChange, IndexEntry, Load
from augurium.serving.snapshot import BatchingPolicy
from tests.support.memory_control import MemoryControl
from tests.support.models import simple_model
from tests.support.planes import plane_of

SIGNATURE = Signature(
    tuple(TensorSpec(f"INPUT{i}", "INT32", (-1, 16)) for i in range(2)),
    tuple(TensorSpec(f"OUTPUT{i}", "INT32", (-1, 16)) for i in range(2)),
)
MANAGEMENT = "/v2/repository/models/simple"


class Both:
    """Both APIs over one plane and one control."""

    def __init__(self, plane: DataPlane, control: MemoryControl) -> None:
        self.control = control
        self.plane = plane
        self.rest = RestApi(plane, LimitSettings(), control=control)
        self.grpc = GrpcApi(plane, control=control)

    async def ask(self, method: str, path: str, body: Any = b"") -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers: dict[str, str] = {}
        answer = await self.rest.handle(HttpRequest(method, path, headers.get, content))
        assert isinstance(answer, HttpResponse)
        return answer.status, json.loads(answer.body)

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def call(self, name: str, request: Message, response: type[Message]) -> dict[str, Any]:
        path = f"/inference.GRPCInferenceService/{name}"
        content = await self.grpc.call(path, request.SerializeToString())
        assert isinstance(content, bytes)
        return MessageToDict(response.FromString(content), preserving_proto_field_name=True)


@pytest.fixture
async def both(tmp_path: Path) -> Both:
    file = tmp_path / "simple.onnx"
    file.write_bytes(simple_model())
    control = MemoryControl()
    control.entries = [
        IndexEntry("simple", 1, "ready"),
        IndexEntry("other", 3, "unloaded", "not loaded"),
        IndexEntry("third", 1, "failed", "broken"),
        IndexEntry("fourth", 1, "loading"),
    ]
    return Both(plane_of({"simple": (file, SIGNATURE)}, BatchingPolicy(8, 2.5, 100)), control)


async def test_the_configuration_says_how_the_model_is_asked(both: Both) -> None:
    config = await both.get("/v2/models/simple/config")

    assert config["name"] == "simple"
    assert config["platform"] == "onnxruntime_onnx"
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] == 8
    assert config["input"][0] == {"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}
    assert config["version_policy"] == {"specific": {"versions": [1]}}
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 2500
    assert config["dynamic_batching"]["default_queue_policy"] == {"max_queue_size": 100}
    assert config["model_transaction_policy"] == {"decoupled": False}
    assert config["response_cache"] == {"enable": False}


async def test_both_protocols_give_one_configuration(both: Both) -> None:
    over_rest = await both.get("/v2/models/simple/versions/1/config")
    over_grpc = pb.ModelConfigResponse.FromString(
        await both.grpc.call(  # type: ignore[arg-type]
            "/inference.GRPCInferenceService/ModelConfig",
            pb.ModelConfigRequest(name="simple", version="1").SerializeToString(),
        )
    ).config

    assert over_grpc.max_batch_size == over_rest["max_batch_size"]
    assert list(over_grpc.input[0].dims) == over_rest["input"][0]["dims"]
    assert over_grpc.parameters["runtime"].string_value == "onnx"
    assert over_grpc.HasField("response_cache")


async def test_a_model_that_takes_whole_tensors_has_no_batches(both: Both, tmp_path: Path) -> None:
    text = TensorSpec("text", "BYTES", (2, 3), optional=True)
    whole = Signature((text,), (text,), batched=False)
    plane = plane_of({"whole": (tmp_path / "simple.onnx", whole)}, BatchingPolicy())
    config = await Both(plane, both.control).get("/v2/models/whole/config")

    assert config["max_batch_size"] == 0
    assert config["input"] == [
        {"name": "text", "data_type": "TYPE_STRING", "dims": [2, 3], "optional": True}
    ]


def busy() -> VersionMetrics:
    metrics = VersionMetrics("simple", 1, outcomes={}, last_inference_at=1700000000.5)
    metrics.queue_s.observe(0.25)
    metrics.ran(8, 2, 0.125, 0.5, 0.0625)
    metrics.last_inference_at = 1700000000.5
    metrics.ended("ok", 1.0)
    metrics.ended("ok", 0.5)
    metrics.ended("invalid_argument", 0.25)
    metrics.ended("cancelled", 0.125)
    metrics.answered(0, "ok", 0.5)
    metrics.answered(1, "left", 0.25)
    return metrics


def nanoseconds(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}


async def test_statistics_say_what_all_engines_counted(both: Both) -> None:
    both.control.counted = [busy(), VersionMetrics("other", 1)]

    (found,) = (await both.get("/v2/models/simple/stats"))["model_stats"]

    assert (found["name"], found["version"]) == ("simple", "1")
    assert found["last_inference"] == 1700000000500
    assert (found["inference_count"], found["execution_count"]) == (8, 1)
    assert found["inference_stats"] == {
        "success": nanoseconds(2, 1.5),
        "fail": nanoseconds(2, 0.375),
        "queue": nanoseconds(1, 0.25),
        "compute_input": nanoseconds(2, 0.25),
        "compute_infer": nanoseconds(2, 1.0),
        "compute_output": nanoseconds(2, 0.125),
        "cache_hit": nanoseconds(0, 0),
        "cache_miss": nanoseconds(0, 0),
    }
    assert found["batch_stats"] == [
        {
            "batch_size": 8,
            "compute_input": nanoseconds(1, 0.125),
            "compute_infer": nanoseconds(1, 0.5),
            "compute_output": nanoseconds(1, 0.0625),
        }
    ]
    assert found["response_stats"]["0"]["success"] == nanoseconds(1, 0.5)
    assert found["response_stats"]["1"]["cancel"] == nanoseconds(1, 0.25)
    assert found["memory_usage"] == []


async def test_both_protocols_give_the_same_statistics(both: Both) -> None:
    both.control.counted = [busy()]
    (over_rest,) = (await both.get("/v2/models/stats"))["model_stats"]

    answer = await both.call(
        "ModelStatistics", pb.ModelStatisticsRequest(), pb.ModelStatisticsResponse
    )

    (over_grpc,) = answer["model_stats"]
    assert over_grpc["last_inference"] == str(over_rest["last_inference"])
    assert over_grpc["inference_stats"]["success"] == {"count": "2", "ns": "1500000000"}
    assert over_grpc["batch_stats"][0]["batch_size"] == "8"
    assert over_grpc["response_stats"]["1"]["cancel"]["count"] == "1"


async def test_a_version_nobody_asked_yet_has_zeros(both: Both) -> None:
    (found,) = (await both.get("/v2/models/simple/versions/1/stats"))["model_stats"]

    assert found["inference_stats"]["success"] == nanoseconds(0, 0)


@pytest.mark.parametrize("path", ["/v2/models/absent/stats", "/v2/models/simple/versions/2/stats"])
async def test_statistics_of_what_is_not_deployed_are_not_found(both: Both, path: str) -> None:
    status, body = await both.ask("GET", path)

    assert status == 404
    assert body["error"].startswith("Request for unknown model")


async def test_the_index_tells_states_in_the_words_of_the_protocol(both: Both) -> None:
    status, found = await both.ask("POST", "/v2/repository/index")

    assert status == 200
    assert found[1] == {
        "name": "other",
        "version": "3",
        "state": "UNAVAILABLE",
        "reason": "not loaded",
    }
    assert [entry["state"] for entry in found] == [
        "READY",
        "UNAVAILABLE",
        "UNAVAILABLE",
        "LOADING",
    ]


async def test_the_index_can_be_of_what_is_ready(both: Both) -> None:
    _, over_rest = await both.ask("POST", "/v2/repository/index", {"ready": True})
    over_grpc = await both.call(
        "RepositoryIndex", pb.RepositoryIndexRequest(ready=True), pb.RepositoryIndexResponse
    )

    assert [entry["name"] for entry in over_rest] == ["simple"]
    assert over_grpc["models"] == [{"name": "simple", "version": "1", "state": "READY"}]


async def test_the_index_holds_what_the_caller_sees(both: Both) -> None:
    caller = Principal("app", "app", [Scope.READ], ["oth*"])
    found = await OipRepository(both.plane, both.control).index(False, caller.sees)

    assert [entry["name"] for entry in found] == ["other"]


async def test_a_load_is_ordered_in_the_name_of_the_caller(both: Both) -> None:
    caller = Principal("deployer", "d", [Scope.DEPLOY])
    await OipRepository(both.plane, both.control).load(ModelRef("simple"), {}, caller)

    assert both.control.orders == [Load("simple", "deployer")]


async def test_a_load_brings_versions_and_batching(both: Both) -> None:
    config = json.dumps({"max_batch_size": "16"})
    _, rest = await both.ask("POST", f"{MANAGEMENT}/load", {"parameters": {"config": config}})
    await both.ask("POST", "/v2/repository/models/simple@2/load")
    over_grpc = await both.call(
        "RepositoryModelLoad",
        pb.RepositoryModelLoadRequest(
            model_name="simple",
            parameters={"config": pb.ModelRepositoryParameter(string_param=config)},
        ),
        pb.RepositoryModelLoadResponse,
    )

    assert rest == {"name": "simple", "load": True}
    assert over_grpc == {"model_name": "simple", "isLoaded": True}
    assert both.control.orders == [
        Load("simple", "local", (), BatchingChange(max_batch_size=16)),
        Load("simple", "local", (2,)),
        Load("simple", "local", (), BatchingChange(max_batch_size=16)),
    ]


BAD_LOADS: list[tuple[Any, int, str]] = [
    ({"parameters": {"config": "{"}}, 400, "failed to load 'simple'"),
    ({"parameters": {"config": 1}}, 400, "failed to load 'simple'"),
    ({"parameters": {"file:1/model.onnx": "AA=="}}, 400, "needs the parameter 'config'"),
    ({"parameters": {"file:1/model.onnx": "AA==", "config": "{}"}}, 501, "augurium register"),
    ({"parameters": 1}, 400, "cannot be read"),
    (b"{", 400, "cannot be read"),
    (b"[]", 400, "cannot be read"),
    (b"[" * 1000, 400, "nested deeper"),
]


@pytest.mark.parametrize(("body", "status", "text"), BAD_LOADS)
async def test_a_load_that_cannot_be_understood_is_refused(
    both: Both, body: Any, status: int, text: str
) -> None:
    found, answer = await both.ask("POST", f"{MANAGEMENT}/load", body)

    assert (found, both.control.orders) == (status, [])
    assert text in answer["error"]


async def test_an_alias_is_no_version_to_load(both: Both) -> None:
    status, _ = await both.ask("POST", "/v2/repository/models/simple@champion/load")

    assert (status, both.control.orders) == (400, [])


async def test_other_parameters_mean_nothing(both: Both) -> None:
    status, _ = await both.ask("POST", f"{MANAGEMENT}/load", {"parameters": {"later": 1}, "x": 2})

    assert status == 200


async def test_a_model_is_unloaded_as_a_whole(both: Both) -> None:
    body = {"parameters": {"unload_dependents": True}}
    _, rest = await both.ask("POST", f"{MANAGEMENT}/unload", body)
    status, _ = await both.ask("POST", "/v2/repository/models/simple@1/unload")
    over_grpc = await both.call(
        "RepositoryModelUnload",
        pb.RepositoryModelUnloadRequest(model_name="other"),
        pb.RepositoryModelUnloadResponse,
    )

    assert rest == {"name": "simple", "unload": True}
    assert status == 400
    assert over_grpc == {"model_name": "other", "isUnloaded": True}
    assert both.control.unloads == [("simple", "local"), ("other", "local")]


async def test_there_is_one_repository(both: Both) -> None:
    for path in ("index", "models/simple/load", "models/simple/unload"):
        status, body = await both.ask("POST", f"/v2/repository/second/{path}")
        assert status == 501
        assert "'repository_name' specification is not supported" in body["error"]
    request = pb.RepositoryIndexRequest(repository_name="second")
    with pytest.raises(Unimplemented):
        await both.call("RepositoryIndex", request, pb.RepositoryIndexResponse)


async def test_log_settings_are_read_and_changed(both: Both) -> None:
    before = await both.get("/v2/logging")
    _, after = await both.ask("POST", "/v2/logging", {"log_verbose_level": 1})
    request = pb.LogSettingsRequest()
    request.settings["log_info"].bool_param = False
    request.settings["log_verbose_level"].uint32_param = 0
    over_grpc = await both.call("LogSettings", request, pb.LogSettingsResponse)

    assert (before["log_info"], before["log_verbose_level"]) == (True, 0)
    assert after == {**before, "log_verbose_level": 1}
    assert over_grpc["settings"]["log_info"] == {"bool_param": False}
    assert over_grpc["settings"]["log_format"] == {"string_param": "ISO8601"}
    assert both.control.levels == [("debug", "local"), ("warning", "local")]


async def test_what_changes_nothing_is_no_change(both: Both) -> None:
    await both.ask("POST", "/v2/logging", {"log_info": True})

    assert both.control.levels == []


async def test_a_log_setting_without_a_value_is_refused(both: Both) -> None:
    request = pb.LogSettingsRequest()
    request.settings["log_info"].SetInParent()

    with pytest.raises(InvalidArgument):
        await both.call("LogSettings", request, pb.LogSettingsResponse)


NODE_CALLS = [
    ("GET", "/v2/models/stats"),
    ("GET", "/v2/models/simple/stats"),
    ("POST", "/v2/repository/index"),
    ("POST", f"{MANAGEMENT}/load"),
    ("POST", f"{MANAGEMENT}/unload"),
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
]


@pytest.mark.parametrize(("method", "path"), NODE_CALLS)
async def test_without_control_the_node_cannot_be_asked(both: Both, method: str, path: str) -> None:
    both.control.fault = NotReady("control is away")
    headers: dict[str, str] = {}
    answer = await both.rest.handle(HttpRequest(method, path, headers.get, b""))
    alone = await RestApi(both.plane, LimitSettings()).handle(
        HttpRequest(method, path, headers.get, b"")
    )

    assert (answer.status, alone.status) == (503, 503)
    assert ("retry-after", "1") in answer.headers
    assert (await both.get("/v2/models/simple/config"))["name"] == "simple"


async def test_a_caller_says_how_long_it_waits_for_the_node(both: Both) -> None:
    headers = {"augurium-timeout-ms": "250"}
    await both.rest.handle(HttpRequest("POST", "/v2/repository/index", headers.get, b""))

    assert both.control.timeouts == [0.25]


@pytest.mark.parametrize("memory", ["systemsharedmemory", "cudasharedmemory"])
async def test_there_is_no_shared_memory(both: Both, memory: str) -> None:
    region = f"/v2/{memory}/region/r"
    answers = {
        "status": await both.ask("GET", f"/v2/{memory}/status"),
        "of a region": await both.ask("GET", f"{region}/status"),
        "register": await both.ask("POST", f"{region}/register", {"key": "/k", "byte_size": 4}),
        "unregister": await both.ask("POST", f"/v2/{memory}/unregister"),
    }

    assert {what: status for what, (status, _) in answers.items()} == {
        "status": 200,
        "of a region": 404,
        "register": 501,
        "unregister": 200,
    }
    assert answers["status"][1] == []
    assert "shared memory" in answers["register"][1]["error"]


@pytest.mark.parametrize("path", ["/v2/trace/setting", "/v2/models/simple/trace/setting"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_there_are_no_traces(both: Both, method: str, path: str) -> None:
    status, body = await both.ask(method, path, {} if method == "POST" else b"")

    assert status == 501
    assert "/metrics" in body["error"]


async def test_what_is_not_here_is_not_listed(both: Both) -> None:
    listed = (await both.get("/v2"))["extensions"]

    assert listed == list(EXTENSIONS)
    assert {"statistics", "model_configuration", "model_repository", "logging"} <= set(listed)
    absent = {"trace", "system_shared_memory", "cuda_shared_memory", "sequence", "schedule_policy"}
    assert absent.isdisjoint(listed)
