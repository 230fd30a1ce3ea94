"""schemathesis, a published tester of HTTP interfaces, with the documents of a running node: it
makes requests that fit them and requests that do not, and holds every answer against them.

Its seed and the number of its requests are fixed, so that every run asks the same. Every check that
it has by default is on, but for what `SETTINGS` turns off, with the reason.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from xgboost import XGBRegressor

from tests.support.models import Mixed, simple_model, text_model
from tests.support.node import Node

HOOKS = Path(__file__).parents[1] / "support/schemathesis_hooks.py"
ST = Path(sys.executable).parent / "st"
SEED = "20"
PHASES = "examples,coverage,fuzzing"
FINISHED_S = 240
# one input without names: whatever fits the schema of its rows is accepted
PLAIN = "text"
SETTINGS = """
hooks = "{hooks}"

# 501 says what is not there, 503 that something is away, 504 that the caller's time was too short:
# what is generated may ask for all three; every other status above 499 is a fault
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "501", "503", "504"]

[parameters]
"path.model" = "text"
"path.version" = 1
"path.label" = "live"

# parts of these bodies must agree in what no JSON Schema can say: a tensor's data with its shape,
# the rows of one input with those of the next, a table's columns with its rows; and the document
# of every model cannot know what the one that is asked takes
[[operations]]
include-operation-id-regex = "^(model_)?({agreeing})(_of_version|_of_label)?$"
checks.positive_data_acceptance.enabled = false

# switches that contradict each other are refused
[[operations]]
include-operation-id = "set_log_settings"
checks.positive_data_acceptance.enabled = false

# parameters may be anything, and the load of some of them is refused; a model of its own, because
# the others must stay
[[operations]]
include-operation-id-regex = "^(load|unload)"
parameters = {{ "path.model" = "spare" }}
checks.positive_data_acceptance.enabled = false
"""
AGREEING = "infer|generate|generate_stream|invocations|classify|regress"


def words(columns: Any, parameters: Any) -> Any:
    """As many answers as `count` says, none among them."""
    for index in range(min(int(columns["count"][0]), 3) if len(columns["count"]) else 0):
        yield {"text": np.array([f"{columns['prompt'][0]}-{index}"])}


@pytest.fixture(scope="module")
def described(start: Callable[..., Node], mixed: Mixed) -> Node:
    """A node of its own: what is generated changes its log and takes models out."""
    node = start(None, "--engines", "1", "--allow-code")
    rows = np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32)
    with node.client() as client:
        client.register(onnx.load_from_string(simple_model()), name="simple")
        for name in ("text", "spare"):
            client.register(onnx.load_from_string(text_model()), name=name)
        client.register(mixed.model, name="mixed", data=mixed.table)
        client.register(XGBRegressor(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0]), name="matrix")
        client.register(
            words, name="words", data={"prompt": ["a", "b"], "count": [3, 2]}, allow_code=True
        )
        for model in client.models():
            client.deploy(model.name, 1)
        client.set_alias("text", "live", 1)
    return node


class Generator:
    """Runs schemathesis in a folder of its own, with the key of a caller if there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, node: Node, path: str, examples: int, key: str = "", **wanted: Any) -> str:
        """What it says of a document when it has found nothing. With `exact` rows only the schema
        limits what is accepted; `phases` are those of schemathesis.
        """
        exact, phases = wanted.get("exact", False), wanted.get("phases", PHASES)
        document, settings = self._folder / "openapi.json", self._folder / "schemathesis.toml"
        asked = node.ask(path, headers={"authorization": f"Bearer {key}"} if key else {})
        assert asked.status == 200, asked.body
        document.write_bytes(asked.body)
        agreeing = AGREEING if exact else f"{AGREEING}|predict|explain"
        said = SETTINGS.format(hooks=HOOKS, agreeing=agreeing)
        settings.write_text(said + (f'\n[auth.openapi.bearer]\nbearer = "{key}"\n' if key else ""))
        command = [str(ST), "--config-file", str(settings), "run", str(document)]
        command += ["--url", f"http://{node.rest}", "--seed", SEED, "--warnings", "off"]
        command += ["--phases", phases, "--max-examples", str(examples)]
        done = subprocess.run(
            [*command, "--continue-on-failure", "--no-shrink"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=FINISHED_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
        return done.stdout


@pytest.fixture
def tester(tmp_path: Path) -> Generator:
    return Generator(tmp_path)


@pytest.mark.parametrize("model", ["simple", PLAIN, "mixed", "matrix", "words"])
def test_the_document_of_a_model_says_what_the_server_does(
    described: Node, tester: Generator, model: str
) -> None:
    path = f"/v2/models/{model}/openapi.json"

    assert "No issues found" in tester.run(described, path, 6, exact=model == PLAIN)
    assert described.ask("/v2/health/live").status == 200


def test_the_document_of_the_node_says_what_the_server_does(
    described: Node, tester: Generator
) -> None:
    assert "No issues found" in tester.run(described, "/openapi.json", 2)
    assert described.ask("/v2/models/text/ready").status == 200


def test_a_node_that_asks_for_keys_refuses_whoever_has_none(
    start: Callable[..., Node], tester: Generator, tmp_path: Path
) -> None:
    node = start(tmp_path / "home", "--engines", "1")
    with node.client() as client:
        client.register(onnx.load_from_string(text_model()), name="text")
        client.deploy("text", 1)
        client.set_alias("text", "live", 1)
        client.create_key("boss", ["admin"])
        key = client.create_key("app", ["predict", "read"]).key
    node.stop()
    secured = start(tmp_path / "home", "--engines", "1", "--access-required")

    # among the checks: the same request without the key, and with another one, is a 401
    model = tester.run(secured, "/v2/models/text/openapi.json", 2, key, exact=True)
    assert "No issues found" in model
    assert "No issues found" in tester.run(secured, "/openapi.json", 1, key, phases="fuzzing")
