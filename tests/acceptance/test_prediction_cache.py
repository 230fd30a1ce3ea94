"""Answers that are remembered: the same over every protocol, counted apart, never another
version's, and there when the model fails.
"""

import itertools
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import onnx.helper as oh
import pytest
import tritonclient.grpc as triton_grpc

from augurium.core.errors import InvalidArgument, NotFound
from tests.acceptance.test_runners import wait_for
from tests.support.models import graph
from tests.support.node import AUGURIUM, Node, Reply, clean_environment
from tests.support.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

SPOILS = 12345.0


def doubled(columns: Any) -> Any:
    """Doubles; a certain row spoils it for ever."""
    state = doubled.__dict__
    if (columns["x"] == SPOILS).any() or state.get("spoilt"):
        state["spoilt"] = True
        raise ValueError("spoilt")
    return {"y": columns["x"] * 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "home"


@pytest.fixture(scope="module")
def caching(start: Callable[..., Node], home: Path) -> Node:
    return start(home, "--engines", "1", "--allow-code")


@pytest.fixture
def model(caching: Node, request: pytest.FixtureRequest) -> str:
    """A model of the test's own, whose answers are remembered for a minute."""
    name = f"{request.node.originalname}"[5:60]
    with caching.client() as client:
        client.register(doubled, name=name, data={"x": [1.0, 2.5, 3.0]}, allow_code=True)
        client.deploy(name, 1)
        client.set_serving(name, {"cache": {"ttl_s": 60, "stale_if_error_s": 600}})
    return name


def v2(node: Node, model: str, *values: float, headers: dict[str, str] | None = None) -> Reply:
    tensor = {"name": "x", "shape": [len(values)], "datatype": "FP64", "data": values}
    body = {"inputs": [{**tensor, "data": list(values)}]}
    return node.ask(f"/v2/models/{model}/infer", body, headers)


def values(answer: Reply) -> list[float]:
    assert answer.status == 200, answer.body
    (output,) = answer.json["outputs"]
    found: list[float] = output["data"]
    return found


def rows_run(node: Node, model: str) -> int:
    return int(statistics(node, model)["inference_count"])


def over_grpc(
    node: Node, model: str, *values: float, headers: dict[str, str] | None = None
) -> triton_grpc.InferResult:
    tensor = triton_grpc.InferInput("x", [len(values)], "FP64")
    tensor.set_data_from_numpy(np.array(values, np.float64))
    with triton_grpc.InferenceServerClient(node.grpc) as client:
        return client.infer(model, [tensor], headers=headers)


def word(result: triton_grpc.InferResult) -> str:
    return str(result.get_response().parameters["augurium-cache"].string_param)


def statistics(node: Node, model: str) -> dict[str, Any]:
    (found,) = node.ask(f"/v2/models/{model}/stats").json["model_stats"]
    assert isinstance(found, dict)
    return found


def test_a_row_is_the_same_row_over_every_protocol(caching: Node, model: str) -> None:
    first = v2(caching, model, 4)
    again = caching.ask(f"/v1/models/{model}:predict", {"instances": [{"x": 4}]})
    column = caching.ask(f"/v1/models/{model}:predict", {"inputs": {"x": [4]}})
    mlflow = caching.ask(f"/v1/models/{model}/invocations", {"dataframe_records": [{"x": 4}]})
    result = over_grpc(caching, model, 4)

    assert first.headers["augurium-cache"] == "miss"
    assert [answer.headers["augurium-cache"] for answer in (again, column, mlflow)] == ["hit"] * 3
    assert word(result) == "hit"
    assert again.json["predictions"] == mlflow.json["predictions"] == column.json["outputs"] == [8]
    assert result.as_numpy("y").tolist() == values(first) == [8]
    assert rows_run(caching, model) == 1


def test_rows_of_one_request_are_known_one_by_one(caching: Node, model: str) -> None:
    v2(caching, model, 5, 6)
    mixed = v2(caching, model, 6, 7, 5)

    assert mixed.headers["augurium-cache"] == "miss"
    assert values(mixed) == [12, 14, 10]
    assert rows_run(caching, model) == 3
    assert v2(caching, model, 7, 5).headers["augurium-cache"] == "hit"


def test_no_cache_asks_the_model(caching: Node, model: str) -> None:
    v2(caching, model, 8)
    fresh = v2(caching, model, 8, headers={"cache-control": "No-Cache"})

    assert fresh.headers["augurium-cache"] == "miss"
    assert rows_run(caching, model) == 2
    assert v2(caching, model, 8).headers["augurium-cache"] == "hit"


def test_no_cache_asks_the_model_over_grpc_too(caching: Node, model: str) -> None:
    over_grpc(caching, model, 8)
    fresh = over_grpc(caching, model, 8, headers={"cache-control": "no-cache"})

    assert word(fresh) == "miss"
    assert rows_run(caching, model) == 2
    assert word(over_grpc(caching, model, 8)) == "hit"


def test_hits_and_misses_are_counted_apart(caching: Node, model: str) -> None:
    for value in (1, 1, 1, 2, 2):
        v2(caching, model, value)
    found = statistics(caching, model)
    stats = found["inference_stats"]
    text = httpx.get(f"{caching.management}/metrics").text
    of = f'{{model="{model}",version="1"}}'

    assert (stats["cache_hit"]["count"], stats["cache_miss"]["count"]) == (3, 2)
    assert stats["success"]["count"] == 5
    assert found["inference_count"] == stats["compute_infer"]["count"] == 2
    assert f"augurium_cache_hits_total{of} 3" in text
    assert f"nv_cache_num_misses_per_model{of} 2" in text


def test_another_version_never_gives_the_answers_of_the_first(caching: Node, model: str) -> None:
    v2(caching, model, 3)
    with caching.client() as client:
        client.register(
            lambda columns: {"y": columns["x"] * 3},
            name=model,
            data={"x": [1.0, 2.5]},
            allow_code=True,
        )
        client.deploy(model, 2)
    answer = v2(caching, model, 3)

    assert answer.headers["augurium-cache"] == "miss"
    assert answer.headers["augurium-version"] == "2"
    assert values(answer) == [9]
    assert v2(caching, f"{model}@1", 3).headers["augurium-cache"] == "hit"


def test_what_was_known_is_given_when_the_model_fails(caching: Node, model: str) -> None:
    with caching.client() as client:
        client.set_serving(model, {"cache": {"ttl_s": 0.2, "stale_if_error_s": 600}})
    before = values(v2(caching, model, 1, 2))
    assert v2(caching, model, SPOILS).status == 500
    time.sleep(0.3)
    after = v2(caching, model, 1, 2)

    assert after.headers["augurium-cache"] == "stale"
    assert values(after) == before
    assert word(over_grpc(caching, model, 2)) == "stale"
    assert v2(caching, model, 9).status == 500
    # a mistake of the caller is told all the same
    assert caching.ask(f"/v2/models/{model}/infer", {"inputs": []}).status == 400


def test_without_a_policy_nothing_is_remembered_or_said(caching: Node, model: str) -> None:
    with caching.client() as client:
        client.set_serving(model, {})
    answers = [v2(caching, model, 1) for _ in range(2)]

    assert [answer.headers.get("augurium-cache") for answer in answers] == [None, None]
    assert rows_run(caching, model) == 2


@pytest.mark.parametrize(
    "policy",
    [{"cache": {"ttl_s": -1}}, {"cache": {"ttl": 60}}, {"cach": {}}, {"cache": {"ttl_s": 1e99}}],
    ids=["negative", "unknown", "misspelled", "too long"],
)
def test_a_policy_that_cannot_be_meant_is_refused(caching: Node, policy: dict[str, Any]) -> None:
    with caching.client() as client:
        client.register(
            lambda columns: {"y": columns["x"]}, name="plain", data={"x": [1.0]}, allow_code=True
        )
        with pytest.raises(InvalidArgument):
            client.set_serving("plain", policy)
        with pytest.raises(NotFound):
            client.set_serving("nobody", {})
        assert client.model("plain").serving == {}


def test_a_policy_outlives_the_node_and_stands_in_the_log(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    node = start(tmp_path / "home", "--engines", "1", "--allow-code")
    with node.client() as client:
        client.register(doubled, name="kept", data={"x": [1.0, 2.0]}, allow_code=True)
        client.deploy("kept", 1)
        client.set_serving("kept", {"cache": {"ttl_s": 60}})
        entry = client.audit("kept")[0]
    node.stop()
    again = start(tmp_path / "home", "--engines", "1", "--allow-code")

    assert (entry.action, entry.details) == ("edit", {"serving": [{}, {"cache": {"ttl_s": 60.0}}]})
    assert [v2(again, "kept", 1).headers["augurium-cache"] for _ in range(2)] == ["miss", "hit"]


def test_the_same_request_again_is_answered_the_same_way(caching: Node, model: str) -> None:
    answers = [v2(caching, model, 4, headers={"x-request-id": f"r{n}"}) for n in range(4)]
    other = caching.ask(
        f"/v2/models/{model}/infer",
        {"id": "mine", "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [4]}]},
    )
    rows = [caching.ask(f"/v1/models/{model}:predict", {"instances": [{"x": 4}]}) for _ in "abc"]

    assert [answer.headers["augurium-cache"] for answer in answers] == ["miss", *["hit"] * 3]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert [answer.headers["x-request-id"] for answer in answers] == ["r0", "r1", "r2", "r3"]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert other.json["id"] == "mine"
    assert [(answer.headers["augurium-cache"], answer.json) for answer in rows] == [
        ("hit", {"predictions": [8]})
    ] * 3
    found = statistics(caching, model)["inference_stats"]
    assert (found["cache_hit"]["count"], found["success"]["count"]) == (7, 8)


def test_a_shorter_time_to_live_holds_at_once(caching: Node, model: str) -> None:
    for _ in range(3):
        v2(caching, model, 4)
    time.sleep(0.1)
    with caching.client() as client:
        client.set_serving(model, {"cache": {"ttl_s": 0.05}})
    assert v2(caching, model, 4).headers["augurium-cache"] == "miss"


def tenfold() -> bytes:
    x, y = (oh.make_tensor_value_info(name, onnx.TensorProto.INT64, ["rows", 1]) for name in "xy")
    ten = oh.make_tensor("ten", onnx.TensorProto.INT64, [1], [10])
    return graph([oh.make_node("Mul", ["x", "ten"], ["y"])], [x], [y], (ten,))


@pytest.fixture
def sharing(
    start: Callable[..., Node], tmp_path: Path, redis_server: RedisServer
) -> tuple[Node, Node]:
    """Two nodes with the same model and the same Redis."""
    config = tmp_path / "augurium.toml"
    config.write_text(f'[cache]\nredis_url = "{redis_server.url}"\nredis_timeout_s = 5\n')
    nodes = [
        start(tmp_path / name, "--engines", "1", "--config", str(config)) for name in ("a", "b")
    ]
    for node in nodes:
        with node.client() as client:
            client.register(onnx.load_from_string(tenfold()), name="shared")
            client.deploy("shared", 1)
            client.set_serving("shared", {"cache": {"ttl_s": 60}})
    return nodes[0], nodes[1]


def test_nodes_that_share_a_redis_know_what_the_other_computed(
    sharing: tuple[Node, Node], redis_server: RedisServer
) -> None:
    def predict(node: Node, place: int) -> tuple[list[list[float]], str]:
        answer = node.ask("/v1/models/shared:predict", {"instances": [[place]]})
        assert answer.status == 200, answer.body
        return answer.json["predictions"], answer.headers["augurium-cache"]

    first, second = sharing
    assert predict(first, 3) == ([[30]], "miss")
    wait_for(lambda: redis_server.ask("DBSIZE") == b":1")
    assert predict(second, 3) == ([[30]], "hit")

    redis_server.kill()
    began = time.monotonic()
    for place in range(4, 10):
        assert predict(second, place) == ([[place * 10]], "miss")
        assert predict(second, place) == ([[place * 10]], "hit")
    assert time.monotonic() - began < 20
    redis_server.start()
    places = itertools.count(10)

    def shared() -> bool:
        place = next(places)
        predict(first, place)
        time.sleep(0.1)
        answer, word = predict(second, place)
        assert answer == [[place * 10]]
        return word == "hit"

    # each leaves it alone for a while after it was away
    wait_for(shared, 30)


def test_a_redis_that_cannot_be_meant_is_refused_before_anything_starts(tmp_path: Path) -> None:
    config = tmp_path / "augurium.toml"
    config.write_text('[cache]\nredis_url = "localhost:6379"\n')
    command = [AUGURIUM, "serve", "--home", str(tmp_path / "home"), "--config", str(config)]
    ports = ["--port", "0", "--grpc-port", "0", "--control-port", "0"]
    ended = subprocess.run(
        [*command, *ports], capture_output=True, text=True, timeout=60, env=clean_environment()
    )
    assert ended.returncode == 1
    assert "cache.redis_url" in ended.stderr


def told(columns: Any, parameters: Any) -> Any:
    """The inputs times `factor`, and when that was."""
    import time as clock

    return {"y": columns["x"] * parameters.get("factor", 1), "at": columns["x"] * 0 + clock.time()}


def test_parameters_are_part_of_what_was_asked(caching: Node) -> None:
    def ask(value: float, **parameters: Any) -> tuple[str, list[float]]:
        tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [value]}
        body = {"inputs": [tensor], "parameters": parameters}
        answer = caching.ask("/v2/models/told-cache/infer", body)
        assert answer.status == 200, answer.body
        found = [output["data"][0] for output in answer.json["outputs"]]
        return answer.headers["augurium-cache"], found

    with caching.client() as client:
        client.register(told, name="told-cache", data={"x": [1.0, 2.5]}, allow_code=True)
        client.deploy("told-cache", 1)
        client.set_serving("told-cache", {"cache": {"ttl_s": 60}})
    first, other, none = ask(3, factor=2, word="a"), ask(3, factor=2), ask(3)
    # another order, byte by byte, and once more
    again = [ask(3, word="a", factor=2), ask(3, factor=2), ask(3), ask(3), ask(3)]
    float_factor, wrong = ask(3, factor=2.0), ask(3, factor=True)
    mlflow = [
        caching.ask(
            "/v1/models/told-cache/invocations", {"inputs": {"x": [3.0]}, "params": {"factor": n}}
        )
        for n in (2, 5)
    ]

    assert [word for word, _ in (first, other, none)] == ["miss"] * 3
    assert [found[0] for _, found in (first, other, none)] == [6, 6, 3]
    assert again == [("hit", first[1]), ("hit", other[1]), *[("hit", none[1])] * 3]
    assert [float_factor[0], wrong[0]] == ["miss"] * 2
    assert [answer.headers["augurium-cache"] for answer in mlflow] == ["hit", "miss"]


def test_whole_tensors_are_known_by_request(caching: Node) -> None:
    model = graph(
        [oh.make_node("ReduceSum", ["x"], ["y"], keepdims=1)],
        [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, "wide"])],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 1])],
    )
    with caching.client() as client:
        version = client.register(onnx.load_from_string(model), name="whole-cache")
        assert not version.signature.batched
        client.deploy("whole-cache", 1)
        client.set_serving("whole-cache", {"cache": {"ttl_s": 60, "stale_if_error_s": 60}})

    def ask(*shape: int) -> tuple[str, float]:
        data = [1.0] * (shape[0] * shape[1])
        tensor = {"name": "x", "shape": shape, "datatype": "FP32", "data": data}
        answer = caching.ask("/v2/models/whole-cache/infer", {"inputs": [tensor]})
        assert answer.status == 200, answer.body
        return answer.headers["augurium-cache"], values(answer)[0]

    assert [ask(2, 3), ask(2, 3), ask(2, 3), ask(2, 3)] == [("miss", 6), *[("hit", 6)] * 3]
    assert [ask(2, 4), ask(2, 4)] == [("miss", 8), ("hit", 8)]
    with triton_grpc.InferenceServerClient(caching.grpc) as client:
        tensor = triton_grpc.InferInput("x", [2, 3], "FP32")
        tensor.set_data_from_numpy(np.ones((2, 3), np.float32))
        assert word(client.infer("whole-cache", [tensor])) == "hit"
    # each as one row
    assert int(statistics(caching, "whole-cache")["inference_count"]) == 2
