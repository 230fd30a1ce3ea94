"""KServe's published clients, v1 and v2 over REST and gRPC, against a running node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import Tabular
from tests.support.node import Node, clean_environment

ROOT = Path(__file__).parents[2]
# kserve asks for other versions of our dependencies: its environment is apart, `make test` makes it
PYTHON = ROOT / ".venv-clients/bin/python"
SCRIPT = Path(__file__).parent / "clients/kserve_client.py"


@pytest.fixture(scope="module")
def found(node: Node, tabular: Tabular) -> dict[str, Any]:
    """What the clients found out."""
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON.relative_to(ROOT)} with kserve is missing; run: make clients")
    rows = json.dumps(asked(tabular).tolist())
    result = subprocess.run(
        [str(PYTHON), str(SCRIPT), f"http://{node.rest}", node.grpc, rows],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def asked(tabular: Tabular) -> np.ndarray[Any, Any]:
    """Rows without missing values: JSON has none."""
    return tabular.rows[:3]


def check(outputs: dict[str, Any], tabular: Tabular) -> None:
    assert outputs["label"] == tabular.model.predict(asked(tabular)).tolist()
    np.testing.assert_allclose(outputs["probabilities"], tabular.probabilities[:3], atol=1e-5)


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc"])
def test_the_node_and_its_models_are_ready(found: dict[str, Any], protocol: str) -> None:
    states = ("live", "model_ready") if protocol == "v1" else ("live", "ready", "model_ready")
    assert {found[protocol][state] for state in states} == {True}


def test_v1_predicts(found: dict[str, Any], tabular: Tabular) -> None:
    predictions = found["v1"]["predictions"]
    check({name: [one[name] for one in predictions] for name in predictions[0]}, tabular)


@pytest.mark.parametrize(
    ("protocol", "form"), [("v2", "json"), ("v2", "binary"), ("grpc", "typed"), ("grpc", "raw")]
)
def test_v2_infers(found: dict[str, Any], tabular: Tabular, protocol: str, form: str) -> None:
    check(found[protocol][form], tabular)


@pytest.mark.parametrize(
    ("protocol", "what", "status", "said"),
    [
        ("v1", "refused", 400, "Expected `array`, got `int`"),
        ("v1", "unknown", 404, "Request for unknown model: 'absent' is not found"),
        ("v1", "unexplained", 501, "has no explainer"),
        ("v2", "unknown", 404, "Request for unknown model: 'absent' is not found"),
    ],
)
def test_the_clients_tell_errors_in_our_words(
    found: dict[str, Any], protocol: str, what: str, status: int, said: str
) -> None:
    assert found[protocol][what]["status"] == status
    assert said in found[protocol][what]["text"]
