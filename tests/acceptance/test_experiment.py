"""Whole experiments on a running node: real callers, feedback as it comes in life, planned looks, a
verdict. One has a treatment that is better, one has two versions that are the same.
"""

import http.client
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.client import Client
from augurium.client.rollout_results import Rollout, RolloutEvent
from augurium.core.experiment_design import DAY_S
from tests.support.models import table_model
from tests.support.node import AUGURIUM, Node, clean_environment

LEAST_S = 40.0
LOOKS = 3
WAVE = 420
# what is asked before, to see how fast the machine is
SAMPLE = 60
PLANNED = 1200
PATIENCE_S = 120.0
# of ten units, how many convert with a variant
BETTER = {"v1": 2, "v2": 5}
SAME = {"v1": 3, "v2": 3}


def design_of(model: str, lasts_s: float) -> dict[str, Any]:
    """Without the guardrail of latencies: those of a busy machine say nothing of versions."""
    return {
        "hypothesis": f"more units of {model} convert with version 2",
        "variants": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50}],
        "metrics": [{"name": "converted"}],
        "guardrails": [
            {
                "metric": {
                    "name": "error_rate",
                    "kind": "binary",
                    "source": "errors",
                    "direction": "lower",
                    "per": "request",
                },
                "margin": 0.01,
                "relative": False,
            }
        ],
        "units": PLANNED,
        "days": lasts_s / DAY_S,
        "looks": LOOKS,
    }


class Trial:
    """An experiment, its callers, and what they know: who answered a unit, what became of it."""

    def __init__(self, node: Node, model: str, converting: dict[str, int]) -> None:
        self.variants: dict[int, set[str]] = defaultdict(set)
        self.failures: list[str] = []
        self.rollout: Rollout
        self.events: Sequence[RolloutEvent] = ()
        self._node = node
        self.model = model
        self._converting = converting
        self._late: list[int] = []

    def variant(self, unit: int) -> str:
        (found,) = self.variants[unit]
        return found

    def converts(self, unit: int) -> bool:
        return unit % 10 < self._converting[self.variant(unit)]

    def start(self, client: Client, lasts_s: float) -> None:
        design = design_of(self.model, lasts_s)
        self.rollout = client.start_rollout(self.model, design, "experiment")

    def ask(self, units: range) -> None:
        """Every unit asks over both protocols."""
        with ThreadPoolExecutor(2) as callers:
            asked = [callers.submit(self._rest, units), callers.submit(self._grpc, units[::-1])]
            for one in asked:
                one.result()

    def tell(self, client: Client, units: range) -> None:
        """What became of them: in any order, twice, first otherwise, or with those of the next
        time; half of it by prediction, half by unit.
        """
        on_time, late = [one for one in units if one % 7], [one for one in units if not one % 7]
        told, self._late = [*self._late, *on_time], late
        order = np.random.default_rng(units.start).permutation(told).tolist()
        wrong = order[::5]
        first = [self._row(one, not self.converts(one)) for one in wrong]
        # most who do not convert are never heard of
        heard = [one for one in order if self.converts(one) or one in wrong]
        rows = [self._row(one, self.converts(one)) for one in heard]
        for sent in (first, rows, rows[::-3]):
            receipt = client.send_feedback(sent)
            assert (receipt.accepted, receipt.rejected) == (len(sent), 0)

    def _row(self, unit: int, value: bool) -> dict[str, Any]:
        subject = {"unit": f"u{unit}"} if unit % 2 else {"prediction_id": f"{self.model}-{unit}"}
        return {"model": self.model, "name": "converted", "value": value} | subject

    def _rest(self, units: Iterable[int]) -> None:
        connection = http.client.HTTPConnection(self._node.rest, timeout=30)
        for unit in units:
            place = {"name": "place", "shape": [1, 1], "datatype": "INT64", "data": [unit]}
            body = json.dumps({"inputs": [place]})
            headers = {"augurium-unit": f"u{unit}", "x-request-id": f"{self.model}-{unit}"}
            connection.request("POST", f"/v2/models/{self.model}/infer", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                self.failures.append(said.decode())
            self.variants[unit].add(answer.getheader("augurium-variant") or "")
        connection.close()

    def _grpc(self, units: Iterable[int]) -> None:
        node = self._node
        with Client(node.management, transport="grpc", grpc_url=node.grpc) as client:
            for unit in units:
                rows = np.array([[unit]], np.int64)
                reply = client.infer(self.model, {"place": rows}, unit=f"u{unit}")
                self.variants[unit].add(reply.variant or "")


@pytest.fixture(scope="module")
def laboratory(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    return start(tmp_path_factory.mktemp("experiments") / "home", "--engines", "2")


def register(client: Client, name: str, folder: Path) -> None:
    for value in (1, 2):
        file = folder / f"{name}-{value}.onnx"
        file.write_bytes(table_model(value, 4 * (LOOKS * WAVE + SAMPLE)))
        version = client.register(file, name=name).version
        client.deploy(name, version, default=value == 1)


def time_for(node: Node, models: Iterable[str]) -> float:
    """How long experiments of these models have to take, in seconds: each wave is to be over well
    before its look, also on a machine that others use as well.
    """
    began = time.monotonic()
    for model in models:
        # of units that take no part
        Trial(node, model, SAME).ask(range(LOOKS * WAVE, LOOKS * WAVE + SAMPLE))
    wave_s = (time.monotonic() - began) * WAVE / SAMPLE
    return max(LEAST_S, 8 * wave_s)


def wait(client: Client, trial: Trial, kind: str, until: float, times: int = 1) -> None:
    """Until something has happened so often, at most until a time of the monotonic clock."""
    while time.monotonic() < until:
        trial.events = client.rollout_events(trial.rollout.id)
        if sum(event.kind == kind for event in trial.events) >= times:
            return
        time.sleep(0.2)
    pytest.fail(f"{trial.model}: no {kind} number {times} in time")


@pytest.fixture(scope="module")
def trials(laboratory: Node, tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Both experiments beside each other, from the start to the verdict."""
    found = [Trial(laboratory, "better", BETTER), Trial(laboratory, "same", SAME)]
    with laboratory.client() as client:
        for trial in found:
            register(client, trial.model, tmp_path_factory.mktemp(trial.model))
        lasts_s = time_for(laboratory, [trial.model for trial in found])
        until = time.monotonic() + lasts_s + PATIENCE_S
        for trial in found:
            trial.start(client, lasts_s)
        for number in range(1, LOOKS + 1):
            units = range((number - 1) * WAVE, number * WAVE)
            for trial in found:
                trial.ask(units)
                trial.tell(client, units)
                if number == LOOKS:
                    # what is still not told
                    trial.tell(client, range(0))
            for trial in found:
                wait(client, trial, "look", until, number)
        for trial in found:
            wait(client, trial, "completed", until)
            trial.rollout = client.rollout(trial.rollout.id)
    return found


@pytest.fixture
def better(trials: list[Trial]) -> Trial:
    return trials[0]


@pytest.fixture
def same(trials: list[Trial]) -> Trial:
    return trials[1]


def counted(trial: Trial) -> dict[str, tuple[int, float]]:
    """Units and conversions by variant, as the verdict has them."""
    (metric,) = (one for one in trial.rollout.verdict["metrics"] if one["name"] == "converted")
    return {
        one["variant"]: (one["units"], one["value"] * one["units"]) for one in metric["variants"]
    }


def sent(trial: Trial) -> dict[str, tuple[int, float]]:
    """The same, as the callers know it."""
    units: dict[str, list[int]] = defaultdict(list)
    for unit in trial.variants:
        units[trial.variant(unit)].append(unit)
    return {name: (len(own), sum(map(trial.converts, own))) for name, own in units.items()}


def comparison(trial: Trial) -> dict[str, Any]:
    (metric,) = (one for one in trial.rollout.verdict["metrics"] if one["name"] == "converted")
    (found,) = metric["comparisons"]
    return dict(found)


def test_no_request_is_lost_and_every_unit_stays_with_one_variant(trials: list[Trial]) -> None:
    for trial in trials:
        assert trial.failures == []
        assert len(trial.variants) == LOOKS * WAVE
        assert {len(found) for found in trial.variants.values()} == {1}
        assert set(sent(trial)) == {"v1", "v2"}


def test_the_verdict_counts_what_was_really_sent(trials: list[Trial]) -> None:
    for trial in trials:
        found, known = counted(trial), sent(trial)
        assert {name: units for name, (units, _) in found.items()} == {
            name: units for name, (units, _) in known.items()
        }
        assert {name: told for name, (_, told) in found.items()} == pytest.approx(
            {name: told for name, (_, told) in known.items()}
        )
        assert trial.rollout.verdict["mixed_units"] == 0
        assert not trial.rollout.verdict["sample_ratio"]["mismatch"]


def test_a_better_version_is_to_be_shipped(better: Trial) -> None:
    verdict, found = better.rollout.verdict, comparison(better)
    rates = {name: told / units for name, (units, told) in sent(better).items()}
    low, high = found["interval"]

    assert better.rollout.status == "completed"
    assert (verdict["outcome"], verdict["variant"]) == ("ship", "v2")
    assert (verdict["look"], verdict["over"]) == (LOOKS, True)
    assert found["finding"] == "better"
    assert found["effect"] == pytest.approx(rates["v2"] - rates["v1"])
    assert 0 < low < 0.3 < high


def test_two_versions_that_are_the_same_are_not_shipped(same: Trial) -> None:
    verdict, found = same.rollout.verdict, comparison(same)
    low, high = found["interval"]

    assert same.rollout.status == "completed"
    assert verdict["outcome"] in ("no_difference", "underpowered")
    assert verdict["variant"] is None
    assert low < 0 < high


def test_at_the_end_everything_is_as_it_was_and_told(laboratory: Node, trials: list[Trial]) -> None:
    with laboratory.client() as client:
        for trial in trials:
            kinds = [event.kind for event in trial.events]
            assert kinds == ["started", *["look"] * LOOKS, "verdict", "completed"]
            assert trial.rollout.weights == {}
            assert client.traffic(trial.model).policy is None
            # a better version is for people to promote
            assert client.model(trial.model).default_version == 1
            rows = np.array([[1]], np.int64)
            assert not client.infer(trial.model, {"place": rows}, unit="u1").variant


def test_the_command_line_tells_the_verdict_and_draws_it(
    laboratory: Node, better: Trial, tmp_path: Path
) -> None:
    picture = tmp_path / "experiment.svg"
    command = [AUGURIUM, "rollout", "status", better.model, "--plot", str(picture), "--json"]
    environment = clean_environment() | {"AUGURIUM_URL": laboratory.management}
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["id"], found["status"]) == (better.rollout.id, "completed")
    assert found["verdict"] == better.rollout.verdict
    assert "effect on converted" in picture.read_text("utf-8")
