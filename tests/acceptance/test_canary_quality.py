"""Canaries judged by what callers say became of their predictions, on a running node."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from augurium.core.errors import AuguriumError
from tests.support.models import table_model
from tests.support.node import AUGURIUM, Node, clean_environment, control_of

PLACES = 100
PLAN = """
steps = [50, 100]
hold_s = 1
least_requests = 100
tick_s = 1
warm_up_s = 1
warm_up_requests = 20
margin_pp = 50
relative_percent = 1000
deadline_s = 300

[quality]
planned = 500
"""
PATIENCE_S = 280.0
CHUNK = 20


@pytest.fixture(scope="module")
def shops(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    return start(tmp_path_factory.mktemp("quality") / "home", "--engines", "2")


@pytest.fixture
def model(shops: Node, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A model with two versions that both answer well and fast, the first being the default."""
    name: str = request.node.originalname[5:60]
    with shops.client() as client:
        for value in (1, 2):
            file = tmp_path / f"{value}.onnx"
            file.write_bytes(table_model(value, 4 * PLACES))
            version = client.register(file, name=name).version
            client.deploy(name, version, default=value == 1)
    return name


class Shop:
    """A caller who asks, and says of every answer whether it sold: in so many of ten cases."""

    def __init__(self, node: Node, model: str, sold: dict[str, int]) -> None:
        self.failures = 0
        self._node = node
        self._model = model
        self._sold = sold
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Shop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        with httpx.Client(timeout=30) as connection:
            rows: list[dict[str, Any]] = []
            for number in self._numbers():
                rows += self._outcomes(connection, number)
                if len(rows) >= CHUNK and self._tell(connection, rows):
                    rows = []

    def _tell(self, connection: httpx.Client, rows: list[dict[str, Any]]) -> bool:
        lines = "\n".join(map(json.dumps, rows))
        url = f"{self._node.management}/api/v1/feedback"
        try:
            answer = connection.post(
                url, content=lines, headers={"content-type": "application/x-ndjson"}
            )
        except httpx.TransportError:
            # control may just be killed; the same rows may be sent again
            return False
        return answer.is_success

    def _outcomes(self, connection: httpx.Client, number: int) -> Iterator[dict[str, Any]]:
        unit = f"user-{number}"
        place = {"name": "place", "shape": [1, 1], "datatype": "INT64", "data": [number % PLACES]}
        answer = connection.post(
            f"http://{self._node.rest}/v2/models/{self._model}/infer",
            json={"inputs": [place]},
            headers={"augurium-unit": unit},
        )
        if answer.status_code != 200:
            self.failures += 1
            return
        variant = answer.headers.get("augurium-variant", "")
        sold = number % 10 < self._sold.get(variant, 10)
        # every other one is known by the user alone
        of = {"unit": unit} if number % 2 else {"prediction_id": answer.headers["x-request-id"]}
        yield {"model": self._model, "name": "sold", "value": sold} | of

    def _numbers(self) -> Iterator[int]:
        number = 0
        while not self._ended.is_set():
            yield number
            number += 1
            time.sleep(0.002)


def augurium(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"AUGURIUM_URL": node.management}
    return subprocess.run(
        [AUGURIUM, *words], capture_output=True, text=True, timeout=180, env=environment
    )


def begun(node: Node, model: str, folder: Path) -> str:
    """The rollout of version 2, judged by what is sold."""
    plan = folder / "plan.toml"
    plan.write_text(PLAN)
    options = ("--plan", str(plan), "--quality", "sold", "--quality-margin", "0.2")
    started = augurium(node, "rollout", "start", f"{model}@2", *options, "--json")
    assert started.returncode == 0, started.stderr
    return str(json.loads(started.stdout)["id"])


def ended(node: Node, rollout: str) -> Any:
    """The rollout after its end."""
    with node.client() as client:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(AuguriumError):
                found = client.rollout(rollout)
                if found.ended_at is not None:
                    return found
            time.sleep(0.2)
        return pytest.fail(f"the rollout did not end: {client.rollout(rollout).verdict}")


def test_worse_outcomes_are_rolled_back(shops: Node, model: str, tmp_path: Path) -> None:
    with Shop(shops, model, {"v1": 9, "v2": 3}) as shop:
        found = ended(shops, begun(shops, model, tmp_path))

    assert (found.status, found.verdict["cause"]) == ("rolled_back", "quality")
    (quality,) = (one for one in found.verdict["findings"] if one["check"] == "quality")
    assert quality["candidate"] == pytest.approx(0.3, abs=0.15)
    assert quality["baseline"] == pytest.approx(0.9, abs=0.08)
    assert found.reason.startswith("sold 0.")
    assert not shop.failures
    with shops.client() as client:
        assert client.model(model).default_version == 1


def test_equal_outcomes_are_promoted_though_control_is_killed(
    shops: Node, model: str, tmp_path: Path
) -> None:
    with Shop(shops, model, {"v1": 9, "v2": 9}) as shop:
        rollout = begun(shops, model, tmp_path)
        time.sleep(5.0)
        control_of(shops).kill()
        found = ended(shops, rollout)

    assert found.status == "promoted", found.reason
    (quality,) = (one for one in found.verdict["findings"] if one["check"] == "quality")
    assert quality["outcome"] == "passed"
    assert quality["n"] >= 100
    assert not shop.failures
    with shops.client() as client:
        assert client.model(model).default_version == 2
