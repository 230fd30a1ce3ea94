"""Poorer answers in place of none: given only when a model cannot, marked, counted apart, never
wrong.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from augurium.client import Client
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from tests.acceptance.test_overload import check_metric, metric
from tests.acceptance.test_runners import runners, wait_for
from tests.support.node import AUGURIUM, Node, Reply, clean_environment

SPOILS, SLOW = 666.0, 777.0


def fragile(columns: Any) -> Any:
    """Doubles; some rows break it, and one takes long."""
    import time as clock

    found = columns["x"].ravel()
    if (found == 666.0).any() or (found >= 1000.0).any():
        raise ValueError("spoilt")
    if (found == 777.0).any():
        clock.sleep(4)
    return {"y": columns["x"] * 2}


def simple(columns: Any) -> Any:
    """Ten times; what is above 2000 breaks it too."""
    if (columns["x"] >= 2000.0).any():
        raise ValueError("spoilt")
    return {"y": columns["x"] * 10}


@pytest.fixture(scope="module")
def frail_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frail") / "home"


@pytest.fixture(scope="module")
def frail(start: Callable[..., Node], frail_home: Path) -> Node:
    node = start(frail_home, "--engines", "1", "--allow-code")
    with node.client() as client:
        for name, function in (("simpler", simple), ("other", lambda columns: {"z": columns["x"]})):
            client.register(function, name=name, data={"x": [1.0, 2.5, 3.0]}, allow_code=True)
            client.deploy(name, 1)
        client.set_alias("simpler", "good", 1)
    return node


@pytest.fixture
def model(frail: Node, request: pytest.FixtureRequest) -> str:
    name = f"{request.node.originalname}"[5:60]
    with frail.client() as client:
        client.register(fragile, name=name, data={"x": [1.0, 2.5, 3.0]}, allow_code=True)
        client.deploy(name, 1)
    return name


def degrade(node: Node, model: str, *steps: dict[str, Any], **policy: Any) -> None:
    cache = {"cache": policy.pop("cache")} if "cache" in policy else {}
    overload = {"overload": policy.pop("overload")} if "overload" in policy else {}
    patient = {"least_requests": 1000}
    fallback = {"breaker": patient, **policy, "steps": list(steps)}
    with node.client() as client:
        client.set_serving(model, {"fallback": fallback, **cache, **overload})


SIMPLER = {"kind": "model", "model": "simpler@good"}
CONSTANT = {"kind": "constant", "outputs": {"y": -1.0}}


def v2(node: Node, model: str, *values: float, **headers: str) -> Reply:
    tensor = {"name": "x", "shape": [len(values)], "datatype": "FP64", "data": list(values)}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return node.ask(f"/v2/models/{model}/infer", {"inputs": [tensor]}, told)


def values(answer: Reply) -> list[float]:
    assert answer.status == 200, answer.body
    (output,) = answer.json["outputs"]
    found: list[float] = output["data"]
    return found


def marks(answer: Reply) -> tuple[str | None, str | None]:
    headers = answer.headers
    return headers.get("augurium-degraded"), headers.get("augurium-degraded-step")


def test_a_failure_is_answered_by_the_simpler_model(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER)
    good, bad = v2(frail, model, 3.0), v2(frail, model, 3.0, SPOILS)
    row = {"x": SPOILS}
    others = [
        frail.ask(f"/v1/models/{model}:predict", {"instances": [row]}),
        frail.ask(f"/v1/models/{model}:predict", {"inputs": {"x": [SPOILS]}}),
        frail.ask(f"/v1/models/{model}/invocations", {"dataframe_records": [row]}),
        frail.ask(f"/v2/models/{model}/generate", row),
    ]

    assert (values(good), marks(good)) == ([6.0], (None, None))
    assert (values(bad), marks(bad)) == ([30.0, 6660.0], ("error", "model:simpler@good"))
    assert (bad.json["model_name"], bad.headers["augurium-version"]) == ("simpler", "1")
    assert [answer.status for answer in others] == [200] * 4
    assert {marks(answer) for answer in others} == {("error", "model:simpler@good")}
    assert [answer.json for answer in others[:3]] == [
        {"predictions": [6660.0]},
        {"outputs": [6660.0]},
        {"predictions": [6660.0]},
    ]
    step = "model:simpler@good"
    check_metric(frail, 5, "augurium_degraded_total", model=model, reason="error", step=step)
    # what failed has failed
    check_metric(frail, 5, "augurium_requests_total", model=model, outcome="model_failed")
    check_metric(frail, 1, "augurium_requests_total", model=model, outcome="ok")


def test_grpc_answers_are_marked_too(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER)

    def ask(value: float) -> tuple[list[float], dict[str, str]]:
        tensor = triton_grpc.InferInput("x", [1], "FP64")
        tensor.set_data_from_numpy(np.array([value]))
        with triton_grpc.InferenceServerClient(frail.grpc) as client:
            found = client.infer(model, [tensor])
        said = {name: value.string_param for name, value in found.get_response().parameters.items()}
        return found.as_numpy("y").tolist(), said

    assert ask(4.0) == ([8.0], {})
    assert ask(SPOILS) == (
        [6660.0],
        {"augurium-degraded": "error", "augurium-degraded-step": "model:simpler@good"},
    )


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_the_client_is_told(frail: Node, model: str, transport: Literal["rest", "grpc"]) -> None:
    degrade(frail, model, SIMPLER)
    with Client(frail.management, transport=transport) as client:
        good = client.predict(model, [{"x": 2.0}])
        poor = client.predict(model, [{"x": SPOILS}])
        tensors = client.infer(model, {"x": np.array([SPOILS])})
    assert (good.predictions, good.degraded, good.degraded_step) == ([4.0], None, None)
    assert (poor.predictions, poor.degraded) == ([6660.0], "error")
    assert poor.degraded_step == tensors.degraded_step == "model:simpler@good"


def test_steps_are_tried_in_their_order(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER, CONSTANT)
    found = [v2(frail, model, value, 1.0) for value in (SPOILS, 2500.0)]

    assert [values(answer) for answer in found] == [[6660.0, 10.0], [-1.0, -1.0]]
    assert marks(found[1]) == ("error", "constant")
    assert found[1].json["model_name"] == model
    check_metric(frail, 1, "augurium_fallback_skipped_total", model=model, why="failed")


def test_without_a_step_that_answers_the_failure_is_told(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER)
    answer = v2(frail, model, 2500.0)
    assert (answer.status, marks(answer)) == (500, (None, None))
    assert "spoilt" in answer.json["error"]


def test_what_takes_too_long_is_answered_in_time(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER, timeout_ms=100)
    began = time.monotonic()
    answer = v2(frail, model, SLOW)
    assert time.monotonic() - began < 2.0
    assert (values(answer), marks(answer)[0]) == ([7770.0], "timeout")
    # without a time of its own, three quarters of what the caller gives
    degrade(frail, model, SIMPLER)
    hasty = v2(frail, model, SLOW, augurium_timeout_ms="4000")
    assert (values(hasty), marks(hasty)[0]) == ([7770.0], "timeout")


def test_an_overload_is_answered_by_the_fallback(frail: Node, model: str) -> None:
    degrade(frail, model, CONSTANT, overload={"max_concurrency": 1})
    slow: list[Reply] = []
    busy = threading.Thread(target=lambda: slow.append(v2(frail, model, SLOW)))
    busy.start()
    check_metric(frail, 1, "augurium_pending_requests", model=model)
    answer = v2(frail, model, 1.0, 2.0)
    busy.join()
    assert (values(answer), marks(answer)) == ([-1.0, -1.0], ("overload", "constant"))
    assert (values(slow[0]), marks(slow[0])) == ([2 * SLOW], (None, None))
    check_metric(frail, 1, "augurium_refused_total", model=model, reason="concurrency")


def test_a_version_that_keeps_failing_is_left_alone_for_a_while(frail: Node, model: str) -> None:
    breaker = {"least_requests": 5, "open_s": 4.0, "probes": 2}
    degrade(frail, model, SIMPLER, breaker=breaker)
    for _ in range(5):
        v2(frail, model, SPOILS)
    opened = v2(frail, model, 3.0)
    mistake = frail.ask(f"/v2/models/{model}/infer", {"inputs": []})
    assert (values(opened), marks(opened)[0]) == ([30.0], "breaker")
    assert mistake.status == 400
    check_metric(frail, 1, "augurium_breakers_open", model=model)

    deadline = time.monotonic() + 30
    while marks(answer := v2(frail, model, 3.0))[0] is not None:
        assert values(answer) == [30.0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert values(answer) == [6.0]
    v2(frail, model, 3.0)
    check_metric(frail, 0, "augurium_breakers_open", model=model)


def test_what_was_known_is_given_within_its_bound(frail: Node, model: str) -> None:
    def give_known(max_age_s: float) -> None:
        """From now on, and nothing else: the circuit is open."""
        stale = {"kind": "stale", "max_age_s": max_age_s}
        breaker = {"least_requests": 1, "open_s": 60, "failure_rate": 0.1}
        degrade(frail, model, stale, breaker=breaker, cache={"ttl_s": 0.1}, timeout_ms=60_000)
        time.sleep(0.5)
        assert v2(frail, model, SPOILS).status == 500

    degrade(frail, model, cache={"ttl_s": 0.1})
    # the third row stays unknown
    assert values(v2(frail, model, 1.0, 2.0)) == [2.0, 4.0]
    give_known(max_age_s=60)
    known, partly = v2(frail, model, 2.0, 1.0), v2(frail, model, 2.0, 3.0)
    assert (values(known), marks(known)) == ([4.0, 2.0], ("breaker", "stale"))
    assert known.headers["augurium-cache"] == "stale"
    assert partly.status == 503
    assert "fails too often" in partly.json["error"]
    give_known(max_age_s=0.5)
    assert v2(frail, model, 2.0, 1.0).status == 503


def test_a_callers_mistake_has_no_fallback(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER, CONSTANT)
    mistakes = [
        frail.ask(f"/v2/models/{model}/infer", {"inputs": []}),
        frail.ask(f"/v1/models/{model}:predict", {"instances": [{"x": "text"}]}),
        frail.ask(f"/v2/models/{model}/versions/9/infer", {"inputs": []}),
    ]
    assert [answer.status for answer in mistakes] == [400, 400, 404]
    assert {marks(answer) for answer in mistakes} == {(None, None)}
    assert metric(frail, "augurium_degraded_total", model=model) == 0


def test_a_fallback_has_no_fallback(frail: Node, model: str) -> None:
    with frail.client() as client:
        client.register(fragile, name="twin", data={"x": [1.0, 2.5]}, allow_code=True)
        client.deploy("twin", 1)
    degrade(frail, "twin", {"kind": "model", "model": model}, CONSTANT)
    degrade(frail, model, {"kind": "model", "model": "twin"})
    assert v2(frail, model, SPOILS).status == 500
    assert metric(frail, "augurium_degraded_total", model="twin") == 0


def test_a_fallback_that_is_undeployed_is_skipped(frail: Node, model: str) -> None:
    with frail.client() as client:
        client.register(simple, name="leaving", data={"x": [1.0, 2.5]}, allow_code=True)
        client.register(simple, name="leaving", data={"x": [1.0, 2.5]}, allow_code=True)
        client.deploy("leaving", 1)
        client.deploy("leaving", 2)
        degrade(frail, model, {"kind": "model", "model": "leaving@1"}, CONSTANT)
        before = v2(frail, model, SPOILS)
        client.undeploy("leaving", 1)
    after = v2(frail, model, SPOILS)
    assert (values(before), values(after)) == ([6660.0], [-1.0])
    check_metric(frail, 1, "augurium_fallback_skipped_total", model=model, why="gone")


def test_an_earlier_version_stands_in_for_the_newest(frail: Node, model: str) -> None:
    with frail.client() as client:
        client.register(simple, name=model, data={"x": [1.0, 2.5]}, allow_code=True)
        client.deploy(model, 2)
        client.deploy(model, 1)
    degrade(frail, model, {"kind": "model", "model": f"{model}@2"})
    answer = v2(frail, model, SPOILS)
    assert (values(answer), answer.headers["augurium-version"]) == ([6660.0], "2")
    assert marks(answer) == ("error", f"model:{model}@2")
    # which has nothing to fall back on but itself
    assert v2(frail, f"{model}@2", 2500.0).status == 500


def test_killed_runners_cost_no_answer(frail: Node, frail_home: Path, model: str) -> None:
    degrade(frail, model, CONSTANT)
    wrong, own_since, stop = [], [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            began = time.monotonic()
            answer = v2(frail, model, 3.0)
            own = marks(answer)[0] is None
            if own:
                own_since.append(began)
            if answer.status != 200 or values(answer) != [6.0 if own else -1.0]:
                wrong.append(answer)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        wait_for(lambda: own_since)
        killed = runners(frail_home)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_for(lambda: own_since[-1] > killed_at, 60)
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert killed
    # what a runner had begun is the fallback's; what it had not is asked of the next runner
    assert wrong == []


def test_the_fallback_is_tried_on_a_share_of_the_traffic(frail: Node, model: str) -> None:
    # its runner may just be coming back
    wait_for(lambda: v2(frail, "simpler", 3.0).status == 200, 30)
    degrade(frail, model, SIMPLER, exercise_fraction=0.25)
    asked = 0

    def tried() -> float:
        return metric(frail, "augurium_fallback_exercised_total", model=model, outcome="ok")

    def ask(times: int) -> None:
        nonlocal asked
        for _ in range(times):
            value = float(asked % 50)
            answer = v2(frail, model, value)
            assert (values(answer), marks(answer)) == ([2 * value], (None, None))
            asked += 1

    ask(41)
    assert tried() <= 10
    # a trial that is due while another goes on is left out
    deadline = time.monotonic() + 30
    while (found := tried()) < 8:
        assert time.monotonic() < deadline
        ask(4)
    assert found <= asked / 4
    assert metric(frail, "augurium_degraded_total", model=model) == 0


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([{"kind": "model", "model": "nobody"}], InvalidArgument),
        ([{"kind": "model", "model": "simpler@absent"}], InvalidArgument),
        ([{"kind": "model", "model": "simpler@7"}], Conflict),
        ([{"kind": "model", "model": "other"}], InvalidArgument),
        (
            [{"kind": "model", "model": "a_fallback_that_cannot_be_meant_is_refused"}],
            InvalidArgument,
        ),
        ([{"kind": "model", "model": ""}], InvalidArgument),
        ([{"kind": "constant", "outputs": {"z": 1.0}}], InvalidArgument),
        ([{"kind": "constant", "outputs": {"y": "text"}}], InvalidArgument),
        ([{"kind": "constant", "outputs": {"y": [1.0, 2.0]}}], InvalidArgument),
        ([{"kind": "stale", "max_age_s": 60}], InvalidArgument),
        ([{"kind": "stale", "max_age_s": -1}], InvalidArgument),
        ([{"kind": "magic"}], InvalidArgument),
    ],
    ids=[
        *("no model", "no alias", "not deployed", "other outputs", "itself", "no name"),
        *("other output", "wrong type", "wrong shape", "no cache", "negative", "unknown kind"),
    ],
)
def test_a_fallback_that_cannot_be_meant_is_refused(
    frail: Node, steps: list[dict[str, Any]], error: type[Exception]
) -> None:
    name = "a_fallback_that_cannot_be_meant_is_refused"
    with frail.client() as client:
        if name not in [model.name for model in client.models()]:
            client.register(fragile, name=name, data={"x": [1.0, 2.5]}, allow_code=True)
            client.deploy(name, 1)
        with pytest.raises(error):
            client.set_serving(name, {"fallback": {"steps": steps}})
        assert client.model(name).serving == {}
        with pytest.raises(InvalidArgument):
            client.set_serving(name, {"fallback": {"exercise_fraction": 0.1}})
        with pytest.raises(NotFound):
            client.set_serving("nobody", {"fallback": {"steps": [CONSTANT]}})


def test_the_command_line_sets_and_shows_it(frail: Node, model: str, tmp_path: Path) -> None:
    constant, policy = tmp_path / "constant.json", tmp_path / "policy.json"
    constant.write_text(json.dumps({"y": -1.0}))

    def serving(*words: str, code: int = 0) -> str:
        environment = {**clean_environment(), "AUGURIUM_URL": frail.management}
        ended = subprocess.run(
            [AUGURIUM, "serving", model, *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
        )
        assert ended.returncode == code, ended.stderr
        return ended.stdout + ended.stderr

    shown = serving(
        *("--fallback", "model:simpler@good", "--fallback", f"constant:{constant}"),
        *("--fallback-timeout", "100", "--exercise", "0.01", "--max-concurrency", "8"),
    )
    told = json.loads(serving("--json"))
    policy.write_text(json.dumps({"fallback": {"steps": [CONSTANT]}}))
    replaced = json.loads(serving("--policy", str(policy), "--json"))

    assert "simpler@good" in shown
    assert "at most 8" in shown
    assert told == {
        "overload": {"max_concurrency": 8},
        "fallback": {
            "steps": [SIMPLER, CONSTANT],
            "timeout_ms": 100.0,
            "exercise_fraction": 0.01,
        },
    }
    assert replaced == {"fallback": {"steps": [CONSTANT]}}
    assert "fallback" not in json.loads(serving("--fallback", "none", "--json"))
    assert "'magic:1' is no step" in serving("--fallback", "magic:1", code=2)


def test_what_the_fallback_remembers_is_not_the_models_own(frail: Node, model: str) -> None:
    degrade(frail, model, SIMPLER, cache={"ttl_s": 60})
    with frail.client() as client:
        client.set_serving("simpler", {"cache": {"ttl_s": 60}})
    found = [v2(frail, model, SPOILS) for _ in range(5)]
    with frail.client() as client:
        client.set_serving("simpler", {})
    assert {marks(answer)[0] for answer in found} == {"error"}
    assert [values(answer) for answer in found] == [[6660.0]] * 5
