from pathlib import Path

import httpx
import pytest

from augurium.control.model_replicas import ModelReplicas, Room
from augurium.control.replica_gauge import ReplicaGauge, cpu_seconds, reading
from augurium.control.replica_numbers import ReplicaNumbers
from augurium.core.accelerators import Reading
from augurium.serving.metrics import Histogram, VersionMetrics

MIB = 1024**2


def counted(requests: int, queued_s: tuple[float, ...], *pids: int) -> VersionMetrics:
    queue_s = Histogram.of((1.0,))
    for seconds in queued_s:
        queue_s.observe(seconds)
    return VersionMetrics(
        "slow", 1, {"ok": requests}, queue_s=queue_s, pending=3, runner_pids=list(pids)
    )


def group(free_mib: int | None, told: list[tuple[str, int]]) -> ModelReplicas:
    room = Room(None if free_mib is None else free_mib * MIB, "residency.memory_bytes")
    found = ModelReplicas(
        "slow", 1, lambda *said: told.append(said), lambda: room, lambda pid: pid * MIB
    )
    found.pids = (100,)
    return found


def test_what_replicas_do_is_the_difference_of_two_readings() -> None:
    used = {7: 10.0, 8: 1.0}
    gauge = ReplicaGauge(cpu=used.get)
    assert gauge.observe(reading(100.0, [counted(10, (0.5,), 7, 8)])) is None
    used.update({7: 11.0, 8: 1.5})
    seen = gauge.observe(reading(102.0, [counted(30, (0.5, 0.2, 0.4), 7, 8)]))
    assert seen is not None
    assert (seen.at, seen.measured, seen.request_rate, seen.in_flight) == (102.0, 2, 10.0, 3.0)
    assert seen.queue_delay_s == pytest.approx(0.3)
    assert seen.cpu_utilization == pytest.approx((0.5 + 0.25) / 2)
    assert seen.gpu_utilization is None


def test_how_busy_a_gpu_is_counts_where_a_replica_is_on_it() -> None:
    gauge = ReplicaGauge(cpu=lambda pid: None)
    ours = Reading(0, "card", "GPU-0", 100, 50, 0.75, {7: 10})
    another = Reading(1, "card", "GPU-1", 100, 50, 0.25, {9: 10})
    silent = Reading(2, "card", "GPU-2", 100, 50, None, {7: 10})
    gauge.observe(reading(100.0, [counted(10, (), 7)]), (ours, another, silent))
    seen = gauge.observe(reading(101.0, [counted(20, (), 7)]), (ours, another, silent))
    elsewhere = gauge.observe(reading(102.0, [counted(30, (), 8)]), (ours, another, silent))
    assert seen is not None
    assert elsewhere is not None
    assert (seen.gpu_utilization, elsewhere.gpu_utilization) == (0.75, None)


def test_the_cpu_of_a_runner_that_is_new_is_not_known_yet() -> None:
    gauge = ReplicaGauge(cpu={7: 10.0}.get)
    gauge.observe(reading(100.0, [counted(10, ())]))
    seen = gauge.observe(reading(101.0, [counted(10, (), 7)]))
    assert seen is not None
    assert seen.cpu_utilization is None
    without = gauge.observe(reading(102.0, [counted(10, ())]))
    assert without is not None
    assert without.cpu_utilization == 0.0


def test_readings_of_the_same_moment_say_the_same() -> None:
    gauge = ReplicaGauge(cpu=lambda pid: None)
    gauge.observe(reading(100.0, [counted(10, ())]))
    seen = gauge.observe(reading(101.0, [counted(20, ())]))
    assert gauge.observe(reading(101.0, [counted(20, ())])) == seen


def test_processes_that_are_gone_used_nothing_that_is_known() -> None:
    assert cpu_seconds(0) is None
    assert (cpu_seconds(1) or 0.0) >= 0.0


def test_a_number_is_told_and_said_in_words() -> None:
    told: list[tuple[str, int]] = []
    replicas = group(1000, told)
    assert replicas.set(3) == "replicas 2 to 3 start"
    assert replicas.set(2) == "replica 3 finishes and goes"
    assert replicas.set(0) == "its runners go until somebody asks"
    assert replicas.set(1) == "its runner starts"
    assert told == [("slow", 3), ("slow", 2), ("slow", 0), ("slow", 1)]
    assert replicas.current() == 1


def test_no_more_than_memory_allows_and_the_log_says_so() -> None:
    told: list[tuple[str, int]] = []
    replicas = group(150, told)
    refusal = "another takes about 100 MiB, and 150 MiB of residency.memory_bytes are free"
    assert replicas.set(4) == f"replica 2 starts; {refusal}"
    # the one that starts has not taken its part yet
    assert replicas.set(4) == f"2 stay: {refusal}"
    assert told == [("slow", 2)]
    assert group(None, told).set(4) == "replicas 2 to 4 start"


def test_numbers_outlive_control(tmp_path: Path) -> None:
    file = tmp_path / "replicas.json"
    numbers = ReplicaNumbers(file)
    numbers.set("slow", 3)
    numbers.set("asleep", 0)
    numbers.set("quick", 4)
    numbers.set("quick", 1)
    again = ReplicaNumbers(file)
    assert (again.of("slow"), again.of("asleep"), again.of("quick")) == (3, 0, 1)
    assert again.all == {"slow": 3, "asleep": 0}
    file.write_text("junk")
    assert ReplicaNumbers(file).of("slow") == 1


async def test_a_node_without_such_models_has_none_in_its_answer(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/scaling")).json()["models"] == []
