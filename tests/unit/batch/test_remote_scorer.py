"""What scores partitions on a node of a cluster, without the cluster."""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from augurium.batch.job_plan import JobPlan
from augurium.batch.model_choice import ModelChoice
from augurium.batch.model_files import ModelFiles
from augurium.batch.partition import Fragment, InputPlan, Partition
from augurium.batch.partition_scoring import MOST_DEATHS
from augurium.batch.ray_engine import RayEngine
from augurium.batch.remote_scorer import (
    RemoteScorer,
    ScorerStart,
    mark_output,
    moved,
    releases,
    shipped,
)
from augurium.batch.worker_messages import Failed, Load, decode_said
from augurium.batch.worker_pool import WorkerPool
from augurium.batch.worker_start import WorkerStart
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import ErrorKind, InvalidArgument
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec

PARTITION = Partition(7, (Fragment("/data/a.parquet", "1-1"),))


class FakeHome:
    """A home that counts as it is told to."""

    def __init__(self, begun: int = 1) -> None:
        self.notes: list[Any] = []
        self._begun = begun

    def files(self) -> dict[str, Any]:
        raise AssertionError("nothing is to be loaded")

    def begun(self, number: int) -> int:
        return self._begun

    def tell(self, note: bytes) -> None:
        self.notes.append(decode_said(note))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "model.ubj").write_bytes(b"trees")
    (tmp_path / "weights").write_bytes(b"numbers")
    (tmp_path / "profile.json").write_bytes(b"{}")
    spec = TensorSpec("x", "FP32", (-1,))
    return Load(
        job="job",
        token=3,
        spec=BatchSpec(
            model="m", input=InputSpec(paths=("/data",)), output=OutputSpec(path=str(tmp_path))
        ),
        version=1,
        signature=Signature((spec,), (spec,)),
        plan=InputPlan("parquet", (), {"x": "x"}, (), 1, 1),
        model=ModelFiles(
            runtime="xgboost",
            path=str(tmp_path / "model.ubj"),
            weights=str(tmp_path / "weights"),
            options={},
        ),
        storage=StorageSettings(),
        profile=str(tmp_path / "profile.json"),
    )


def refusal(load: Load, home: FakeHome, wanted: Mapping[str, str]) -> Failed:
    row = {"partition": msgspec.msgpack.encode(PARTITION)}
    start = msgspec.msgpack.encode(ScorerStart(load, WorkerStart(), 10, dict(wanted)))
    with closing(RemoteScorer(start, home)) as scorer:
        said = decode_said(scorer(row)["said"])
    assert isinstance(said, Failed)
    return said


def test_a_node_that_does_not_see_the_output_says_so(load: Load) -> None:
    found = refusal(load, FakeHome(), releases())

    assert found.kind is ErrorKind.INVALID_ARGUMENT
    assert "a folder that all nodes of the cluster share" in found.message
    assert "(on the node " in found.message


def test_a_node_with_another_release_says_what_to_install(load: Load) -> None:
    mark_output(load)

    found = refusal(load, FakeHome(), releases() | {"pyarrow": "1.2.3"})

    assert found.kind is ErrorKind.INVALID_ARGUMENT
    assert "pip install pyarrow==1.2.3" in found.message


def test_a_node_whose_disk_fails_is_named_and_the_job_waits(load: Load) -> None:
    class Full(FakeHome):
        def begun(self, number: int) -> int:
            raise OSError(28, "No space left on device")

    found = refusal(load, Full(), releases())

    assert found.kind is ErrorKind.NOT_READY
    assert "No space left on device (on the node " in found.message


def test_a_partition_whose_scorers_are_lost_again_and_again_is_given_up(load: Load) -> None:
    found = refusal(load, FakeHome(begun=MOST_DEATHS + 1), releases())

    assert found.kind is ErrorKind.MODEL_FAILED
    assert f"partition 7 was begun {MOST_DEATHS} times" in found.message


def test_files_of_a_version_travel_with_their_endings(load: Load, tmp_path: Path) -> None:
    here = moved(load, shipped(load), tmp_path / "node")

    assert Path(here.model.path).name == "model.ubj"
    found = [here.model.path, here.model.weights, here.profile]
    assert all(path is not None and path.startswith(str(tmp_path / "node")) for path in found)
    contents = [Path(path).read_bytes() for path in found if path is not None]
    assert contents == [b"trees", b"numbers", b"{}"]


def test_a_version_without_weights_and_profile_travels_without_them(
    load: Load, tmp_path: Path
) -> None:
    model = msgspec.structs.replace(load.model, weights=None)
    bare = msgspec.structs.replace(load, model=model, profile=None)

    here = moved(bare, shipped(bare), tmp_path / "node")

    assert (here.model.weights, here.profile) == (None, None)


def test_a_scorer_takes_whatever_device_it_sees(load: Load, tmp_path: Path) -> None:
    device = DevicePolicy(name="cuda:3")
    placed = msgspec.structs.replace(load, model=msgspec.structs.replace(load.model, device=device))

    here = moved(placed, shipped(placed), tmp_path / "node")

    assert here.model.device.name == "cuda"


async def test_where_ray_is_missing_the_job_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = JobPlan(InputPlan("parquet", (PARTITION,), {}, (), 1, 1), ModelChoice("onnx"), 10)

    with pytest.raises(InvalidArgument, match=r"pip install 'augurium\[ray\]'"):
        await RayEngine(WorkerPool(WorkerStart()), 1, "").score(plan, [PARTITION], Desk())


class Desk:
    """Nothing is brought to it."""

    async def take(self, result: Any) -> None:
        raise AssertionError(result)

    def hear(self, number: int, counted: Any) -> None:
        raise AssertionError(number)

    async def warn(self, text: str) -> None:
        raise AssertionError(text)
