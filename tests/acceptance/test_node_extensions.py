"""Configuration, statistics, repository and logging of a node with three engines, asked with the
published Triton clients.
"""

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_rest
from tritonclient.utils import InferenceServerException

from tests.acceptance.test_lifecycle import (
    PATIENT,
    SIMPLE,
    SLOW,
    SLOW_CALLS,
    metrics,
    wait_for,
)
from tests.support.models import picky_model, simple_model, slow_model
from tests.support.node import Node, control_of

SLOW_ROWS = 256


@pytest.fixture(scope="module")
def three(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Three engines."""
    home = tmp_path_factory.mktemp("extensions") / "home"
    node = start(home, "--engines", "3")
    models = {"simple": simple_model(), "slow": slow_model(), "picky": picky_model()}
    with node.client() as client:
        for name, content in models.items():
            client.register(onnx.load_from_string(content), name=name)
            client.deploy(name, 1)
        client.set_serving("slow", PATIENT)
        client.register(onnx.load_from_string(simple_model()), name="spare")
    return node


@pytest.fixture
def rest(three: Node) -> Iterator[Any]:
    with over_rest.InferenceServerClient(three.rest, concurrency=8) as client:
        yield client


@pytest.fixture
def grpc(three: Node) -> Iterator[Any]:
    with over_grpc.InferenceServerClient(three.grpc) as client:
        yield client


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest) -> Any:
    """Each of the clients."""
    return request.getfixturevalue(request.param)


def plain(client: Any, name: str, *arguments: Any) -> Any:
    """What a call answers, as JSON also of gRPC."""
    if isinstance(client, over_grpc.InferenceServerClient):
        return getattr(client, name)(*arguments, as_json=True)
    return getattr(client, name)(*arguments)


def inputs(library: Any, rows: int = 1) -> list[Any]:
    found = []
    for name in ("INPUT0", "INPUT1"):
        tensor = library.InferInput(name, [rows, 16], "INT32")
        found.append(tensor.set_data_from_numpy(np.ones((rows, 16), np.int32)))
    return found


def statistics(client: Any, model: str) -> dict[str, Any]:
    (found,) = plain(client, "get_inference_statistics", model)["model_stats"]
    assert isinstance(found, dict)
    return found


def count(found: dict[str, Any], name: str) -> int:
    return int(found["inference_stats"][name].get("count", 0))


def test_the_server_lists_what_it_has(client: Any) -> None:
    found = plain(client, "get_server_metadata")

    assert found["name"] == "augurium"
    assert {"statistics", "model_configuration", "model_repository"} <= set(found["extensions"])
    assert "trace" not in found["extensions"]


def test_the_configuration_of_a_model(rest: Any, grpc: Any) -> None:
    plain_config = rest.get_model_config("simple")
    message = grpc.get_model_config("simple").config

    assert plain_config["max_batch_size"] == message.max_batch_size == 256
    assert plain_config["input"][0]["dims"] == list(message.input[0].dims) == [16]
    assert message.dynamic_batching.max_queue_delay_microseconds == 5000


def test_statistics_count_what_was_asked_of_every_engine(rest: Any, grpc: Any) -> None:
    before = statistics(rest, "simple")
    for _ in range(20):
        rest.infer("simple", inputs(over_rest))
        grpc.infer("simple", inputs(over_grpc, rows=3))
    after = statistics(rest, "simple")

    assert count(after, "success") - count(before, "success") == 40
    assert int(after["inference_count"]) - int(before["inference_count"]) == 80
    assert count(after, "compute_infer") - count(before, "compute_infer") == 40
    assert count(statistics(grpc, "simple"), "success") == count(after, "success")
    sizes = {entry["batch_size"] for entry in after["batch_stats"]}
    assert {1, 3} <= sizes


def test_the_metrics_say_the_same_as_the_statistics(three: Node, rest: Any) -> None:
    found = statistics(rest, "simple")
    page = dict(line.rsplit(" ", 1) for line in metrics(three).splitlines() if line[0] != "#")

    def metric(name: str) -> int:
        return int(float(page[f'{name}{{model="simple",version="1"}}']))

    assert metric("nv_inference_request_success") == count(found, "success")
    assert metric("nv_inference_count") == found["inference_count"]
    assert metric("nv_inference_exec_count") == found["execution_count"]
    for part in ("compute_input", "compute_infer", "compute_output", "queue"):
        nanoseconds = found["inference_stats"][part]["ns"]
        assert metric(f"nv_inference_{part}_duration_us") == pytest.approx(
            nanoseconds / 1000, abs=1
        )


class Callers:
    """Many callers at a time; `seen` counts what they were told of each model."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.seen: dict[str, Counter[str]] = {"simple": Counter(), "slow": Counter()}
        self._noting = threading.Lock()

    def good(self) -> None:
        self._note("simple", self._node.ask("/v2/models/simple/infer", SIMPLE).status == 200)

    def good_over_grpc(self) -> None:
        with over_grpc.InferenceServerClient(self._node.grpc) as client:
            self._note("simple", bool(client.infer("simple", inputs(over_grpc))))

    def misshapen(self) -> None:
        body = {"inputs": [{**SIMPLE["inputs"][0], "shape": [1, 15], "data": [1] * 15}]}
        self._note("simple", self._node.ask("/v2/models/simple/infer", body).status == 200)

    def unreadable(self) -> None:
        self._note("simple", self._node.ask("/v2/models/simple/infer", b"{").status == 200)

    def misshapen_over_grpc(self) -> None:
        tensor = over_grpc.InferInput("INPUT0", [1, 15], "INT32")
        tensor.set_data_from_numpy(np.ones((1, 15), np.int32))
        with (
            over_grpc.InferenceServerClient(self._node.grpc) as client,
            contextlib.suppress(InferenceServerException),
        ):
            client.infer("simple", [tensor])
        self._note("simple", False)

    def expiring(self) -> None:
        status = self._node.ask("/v2/models/slow/infer", {**SLOW, "parameters": {"timeout": 1}})
        self._note("slow", status.status == 200)

    def expiring_over_grpc(self) -> None:
        with over_grpc.InferenceServerClient(self._node.grpc) as client:
            try:
                client.infer("slow", slow_inputs(), timeout=1)
            except InferenceServerException:
                self._note("slow", False)
            else:
                self._note("slow", True)

    def leaving(self) -> None:
        body = json.dumps(SLOW).encode()
        host, _, port = self._node.rest.partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v2/models/slow/infer HTTP/1.1\r\nhost: x\r\n"
                b"content-length: %d\r\n\r\n" % len(body) + body
            )
            # it is at work then, and not done
            connection.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                self._note("slow", bool(connection.recv(1)))
                return
        self._note("slow", False)

    def slow(self) -> None:
        self._note("slow", self._node.ask("/v2/models/slow/infer", SLOW).status == 200)

    def _note(self, model: str, ok: bool) -> None:
        with self._noting:
            self.seen[model]["success" if ok else "fail"] += 1


def slow_inputs() -> list[Any]:
    tensor = over_grpc.InferInput("x", [SLOW_ROWS, 1, 1], "FP32")
    return [tensor.set_data_from_numpy(np.ones((SLOW_ROWS, 1, 1), np.float32))]


def test_success_and_failures_are_exactly_what_callers_saw(three: Node, rest: Any) -> None:
    before = {model: statistics(rest, model) for model in ("simple", "slow")}
    callers = Callers(three)
    many = [callers.good, callers.good_over_grpc, callers.misshapen, callers.unreadable]
    many += [callers.misshapen_over_grpc]
    few = [callers.expiring, callers.expiring_over_grpc, callers.leaving, callers.slow]
    with ThreadPoolExecutor(8) as threads:
        for call in [*many * 12, *few * 3]:
            threads.submit(call)

    def told(model: str) -> Counter[str]:
        after = statistics(rest, model)
        return Counter(
            {what: count(after, what) - count(before[model], what) for what in ("success", "fail")}
        )

    assert callers.seen["simple"] == {"success": 24, "fail": 36}
    assert told("simple") == callers.seen["simple"]
    assert callers.seen["slow"].total() == 12
    # a caller that left may be noticed a moment later
    wait_for(lambda: told("slow").total() == 12)
    assert told("slow") == callers.seen["slow"]


def test_models_are_loaded_and_unloaded(three: Node, client: Any) -> None:
    client.load_model("spare")
    ready = [three.ask("/v2/models/spare/ready").status for _ in range(8)]
    loaded = plain(client, "get_model_repository_index")
    client.unload_model("spare")
    gone = [three.ask("/v2/models/spare/ready").status for _ in range(8)]
    unloaded = plain(client, "get_model_repository_index")

    def state(index: Any) -> str:
        entries = index["models"] if isinstance(index, dict) else index
        return str(next(entry["state"] for entry in entries if entry["name"] == "spare"))

    assert (set(ready), set(gone)) == ({200}, {404})
    assert (state(loaded), state(unloaded)) == ("READY", "UNAVAILABLE")


def test_a_model_is_gone_at_once_while_its_requests_are_answered(three: Node, rest: Any) -> None:
    with ThreadPoolExecutor(SLOW_CALLS) as threads:
        answers = [
            threads.submit(three.ask, "/v2/models/slow/infer", SLOW) for _ in range(SLOW_CALLS)
        ]
        wait_for(
            lambda: (
                'nv_inference_pending_request_count{model="slow",version="1"} 0'
                not in metrics(three)
            )
        )
        rest.unload_model("slow")
        status = three.ask("/v2/models/slow/ready").status
        found = [answer.result().status for answer in answers]
    rest.load_model("slow")

    assert status == 404
    assert set(found) <= {200, 404}
    assert 200 in found


def test_a_load_may_say_how_the_model_batches(client: Any, rest: Any) -> None:
    client.load_model("simple", config='{"max_batch_size": "16"}')
    changed = rest.get_model_config("simple")["max_batch_size"]
    with pytest.raises(InferenceServerException, match="batch-size must be <= 16"):
        rest.infer("simple", inputs(over_rest, rows=17))
    client.load_model("simple")

    assert changed == 16
    assert rest.get_model_config("simple")["max_batch_size"] == 256


@pytest.mark.parametrize(
    ("model", "config", "files", "text"),
    [
        ("nobody", None, None, "failed to load 'nobody', failed to poll from model repository"),
        ("simple", '{"parameters": {"config": {{}}}}', None, "failed to load 'simple'"),
        ("simple", '{"foo": 1}', None, "'foo'"),
        ("simple", "{}", {"file:1/model.onnx": b"x"}, "augurium register"),
    ],
)
def test_a_load_that_cannot_be_says_why(
    client: Any, model: str, config: str | None, files: Any, text: str
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.load_model(model, config=config, files=files)
    assert text in refused.value.message()
    assert client.is_model_ready("simple")


def test_log_settings_are_those_of_the_whole_node(rest: Any, grpc: Any) -> None:
    before = rest.get_log_settings()
    changed = rest.update_log_settings({"log_info": False})
    over_there = grpc.get_log_settings()
    restored = grpc.update_log_settings({"log_info": True}, as_json=True)["settings"]
    again = [rest.get_log_settings() for _ in range(4)]

    assert (before["log_info"], changed["log_info"]) == (True, False)
    assert over_there.settings["log_info"].bool_param is False
    assert restored["log_info"] == {"bool_param": True}
    assert again == [before] * 4
    with pytest.raises(InferenceServerException, match="log file location can not be updated"):
        rest.update_log_settings({"log_file": "/tmp/log"})


def test_there_are_no_traces_and_no_shared_memory(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="no traces"):
        client.get_trace_settings("simple")
    with pytest.raises(InferenceServerException, match="no shared memory"):
        client.register_system_shared_memory("region", "/region", 64)
    client.unregister_system_shared_memory()


def test_predictions_go_on_while_control_is_away(three: Node, rest: Any) -> None:
    before = count(statistics(rest, "simple"), "success")
    control_of(three).kill()
    refused = []

    def away() -> bool:
        refused.append(three.ask("/v2/models/stats"))
        return refused[-1].status == 503

    wait_for(away)
    predicted = three.ask("/v2/models/simple/infer", SIMPLE)

    assert predicted.status == 200
    assert refused[-1].headers["retry-after"] == "1"
    assert "predictions go on" in refused[-1].json["error"]
    # also what was counted before is there again
    answers = []

    def back() -> bool:
        answers.append(three.ask("/v2/models/simple/stats"))
        return answers[-1].status == 200

    wait_for(back)
    assert count(answers[-1].json["model_stats"][0], "success") == before + 1
