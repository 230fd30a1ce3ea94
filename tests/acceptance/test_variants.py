"""What a node counts of the variants of a split model is what was sent, whoever ends meanwhile."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from augurium.cli.app import app
from augurium.client import Client
from augurium.client.series_calls import VariantTotals
from augurium.core.errors import AuguriumError
from tests.acceptance.test_lifecycle import in_the_end
from tests.support.models import table_model
from tests.support.node import Node
from tests.support.processes import children_that_run

MODEL = "fraud"
SPLIT = {"split": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50, "name": "rival"}]}
VALUES = {"v1": 1.0, "rival": 2.0}
ROW = [[7]]
PATIENCE_S = 90

# requests by variant and outcome
Sent = Counter[tuple[str, str]]


class Callers:
    """Send requests over REST and gRPC, and note which variant answered."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sent: Sent = Counter()
        self._units = 0

    def ask(self, requests: int) -> None:
        """So many over each protocol, each with a unit of its own."""
        self.ask_rest(requests)
        with Client(self.node.management, transport="grpc") as grpc:
            for _ in range(requests):
                told = grpc.predict(MODEL, ROW, unit=self._unit()).variant
                assert told is not None
                self.sent[told, "ok"] += 1

    def ask_rest(self, requests: int) -> None:
        """So many over REST."""
        for _ in range(requests):
            unit = {"augurium-unit": self._unit()}
            reply = self.node.ask(f"/v1/models/{MODEL}:predict", {"instances": ROW}, unit)
            variant = reply.headers["augurium-variant"]
            assert reply.json == {"predictions": [[VALUES[variant]]]}
            self.sent[variant, "ok"] += 1

    def blunder(self) -> None:
        """A request that no version takes, of a unit that is on the second variant."""
        path, body = f"/v1/models/{MODEL}:predict", {"instances": ROW}
        while True:
            unit = {"augurium-unit": self._unit()}
            variant = self.node.ask(path, body, unit).headers["augurium-variant"]
            self.sent[variant, "ok"] += 1
            if variant == "rival":
                break
        reply = self.node.ask(path, {"instances": [["no number"]]}, unit)
        assert reply.status == 400
        self.sent[variant, "invalid_argument"] += 1

    def _unit(self) -> str:
        self._units += 1
        return f"unit-{self._units}"


@pytest.fixture
def split(start: Callable[..., Node], tmp_path: Path) -> Node:
    """A node of two engines with a model of two versions, half of the units each."""
    node = start(tmp_path / "home", "--engines", "2")
    with node.client() as client:
        for number in (1, 2):
            client.register(onnx.load_from_string(table_model(number, 4096)), name=MODEL)
            client.deploy(MODEL, number)
        client.set_traffic(MODEL, SPLIT)
    return node


def told(variants: Iterable[VariantTotals]) -> Sent:
    return Counter(
        {
            (totals.variant, kind): count
            for totals in variants
            for kind, count in totals.outcomes.items()
        }
    )


def totals(node: Node) -> Mapping[str, VariantTotals]:
    with node.client() as client:
        return {found.variant: found for found in client.variants(MODEL).variants}


def counted(node: Node, sent: Sent) -> Sent:
    return in_the_end(lambda: told(totals(node).values()), sent)


def kept(node: Node) -> Sent:
    """What the series of the day says."""
    with node.client() as client:
        start = datetime.now(UTC) - timedelta(hours=1)
        return told(client.series(MODEL, start, step="1d").variants)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if holds():
                return
        except AuguriumError:
            pass  # control is away
        time.sleep(0.2)
    pytest.fail("it did not come to pass in time")


def control_processes(node: Node) -> list[int]:
    return [one.pid for one in children_that_run("augurium.control", node.process.pid)]


def test_counts_are_what_was_sent_while_engines_and_control_come_and_go(split: Node) -> None:
    callers = Callers(split)
    callers.ask(40)
    callers.blunder()

    assert counted(split, callers.sent) == callers.sent
    found = totals(split)
    assert {name: one.version for name, one in found.items()} == {"v1": 1, "rival": 2}
    assert {name: one.score_mean for name, one in found.items()} == VALUES
    assert (found["rival"].mistakes, found["rival"].errors) == (1, 0)
    for one in found.values():
        assert one.p50_ms is not None
        assert 0 < one.p50_ms < 30_000
        assert one.error_rate is not None
        assert one.error_rate.low == 0 < one.error_rate.high < 0.5

    before = split.children()["engine-0"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: split.children().get("engine-0", before) != before)
    with split.client() as client:
        wait_until(lambda: client.ready().ready)
    callers.ask(20)
    assert counted(split, callers.sent) == callers.sent
    wait_until(lambda: kept(split) == callers.sent)

    (control,) = control_processes(split)
    os.kill(control, signal.SIGTERM)
    wait_until(lambda: control not in control_processes(split))
    callers.ask_rest(20)
    wait_until(lambda: control_processes(split) not in ([], [control]))
    with split.client() as client:
        wait_until(lambda: client.ready().ready)
    callers.ask(20)
    wait_until(lambda: kept(split) == callers.sent)


def test_the_command_line_shows_what_variants_did(
    split: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = Callers(split)
    callers.ask(10)
    wait_until(lambda: kept(split) == callers.sent)
    monkeypatch.setenv("AUGURIUM_URL", split.management)

    shown = CliRunner().invoke(app, ["traffic", "series", MODEL, "--since", "10m"])
    narrowed = CliRunner().invoke(
        app, ["traffic", "series", MODEL, "--variant", "rival", "--step", "1h", "--json"]
    )

    assert shown.exit_code == 0, shown.output
    lines = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line.split()}
    for variant in VALUES:
        assert lines[variant][2] == str(callers.sent[variant, "ok"])
    assert "█" in shown.stdout
    assert narrowed.exit_code == 0, narrowed.output
    assert f'"requests":{callers.sent["rival", "ok"]}' in narrowed.stdout
    assert '"v1"' not in narrowed.stdout
