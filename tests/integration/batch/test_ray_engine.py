"""Whole jobs on Ray: a simulated cluster of several nodes, files in a real S3 server."""

import json
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from augurium.core.batch_job import BadRows, BatchEngine, BatchSpec, InputSpec, OutputSpec
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from tests.support.batch_jobs import BatchHome
from tests.support.models import graph
from tests.support.processes import children_that_run
from tests.support.s3_server import S3Server, free_port

NODES = 3
ROWS = 3000
PARTITIONS = 30
STORE_BYTES = 80 * 1024 * 1024
NODES_WITHIN_S, DOWN_WITHIN_S = 180.0, 20.0
FLOATS, DOUBLES = (
    Signature((TensorSpec("x", kind, (-1,)),), (TensorSpec("y", kind, (-1,)),))
    for kind in ("FP32", "FP64")
)
SIZE, PRODUCTS = 1024, 48
DEADLY = 77.0


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> Iterator[S3Server]:
    """The server, with its credentials in the environment of all that is started here."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in s3_server.environment.items():
            patch.setenv(variable, value)
        yield s3_server


@pytest.fixture(scope="module")
def cluster(s3: S3Server) -> Iterator[Cluster]:
    """A head that runs nothing, and nodes of one processor."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        # where it notes its address, and expects the folder to be there
        patch.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        found = Cluster(shutdown_at_exit=True)
        plain: dict[str, Any] = {"object_store_memory": STORE_BYTES, "include_dashboard": False}
        found.add_node(num_cpus=0, temp_dir=folder, wait=False, **plain)
        for _ in range(NODES):
            found.add_node(num_cpus=1, wait=False, **plain)
        found.wait_for_nodes(timeout=NODES_WITHIN_S)
        yield found
        # it may wait for a node that was killed
        down = threading.Thread(target=found.shutdown, daemon=True)
        down.start()
        down.join(DOWN_WITHIN_S)


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, s3: S3Server, cluster: Cluster
) -> Iterator[BatchHome]:
    storage = {"s3_endpoint": s3.endpoint}
    batch = {"ray_address": cluster.address, "scheduling": "normal"}
    found = BatchHome(tmp_path_factory.mktemp("home"), {"storage": storage, "batch": batch})
    found.register_runtime(products(), "slow", "onnx", FLOATS)
    yield found
    found.close()


@pytest.fixture(scope="module")
def source(s3: S3Server) -> str:
    """The numbers up to `ROWS`, in three objects with a row group per partition."""
    for number, part in enumerate(np.array_split(np.arange(float(ROWS)), 3)):
        file = s3.folder / "models" / "numbers" / f"{number}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"x": part.astype(np.float32)}), file, row_group_size=ROWS // PARTITIONS
        )
    return s3.url("numbers")


@pytest.fixture(scope="module")
def expected(home: BatchHome, s3: S3Server, source: str) -> dict[str, bytes]:
    """What the same job writes on one machine."""
    local = home.run(job(source, s3.url("local"), "slow", "local"))
    assert (local.state, local.reason) == ("succeeded", "")
    found = contents(s3.files("local"), "local")
    assert len(found) == PARTITIONS
    return found


def products() -> bytes:
    """Multiplies by a big matrix, for some tenths of a second for the rows of a partition: what
    dies does so in the middle of a job.
    """
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(1, SIZE)).astype(np.float32)
    matrix = rng.normal(size=(SIZE, SIZE)).astype(np.float32) / 32
    constants = (
        onnx.numpy_helper.from_array(np.array([1]), "axis"),
        onnx.numpy_helper.from_array(wide, "wide"),
        onnx.numpy_helper.from_array(matrix, "matrix"),
    )
    nodes = [
        oh.make_node("Unsqueeze", ["x", "axis"], ["column"]),
        oh.make_node("MatMul", ["column", "wide"], ["h0"]),
        *(oh.make_node("MatMul", [f"h{i}", "matrix"], [f"h{i + 1}"]) for i in range(PRODUCTS)),
        oh.make_node("ReduceMean", [f"h{PRODUCTS}"], ["y"], axes=[1], keepdims=0),
    ]
    kind = onnx.TensorProto.FLOAT
    inputs, outputs = ([oh.make_tensor_value_info(name, kind, ["batch"])] for name in "xy")
    return graph(nodes, inputs, outputs, constants)


def deadly() -> bytes:
    """A function that answers twice its input, and ends its process at one row."""

    def function(inputs: dict[str, Array]) -> dict[str, Array]:
        import ctypes

        if (inputs["x"] == DEADLY).any():
            ctypes.string_at(0)
        return {"y": inputs["x"] * 2}

    content: bytes = cloudpickle.dumps(function)
    return content


def job(source: str, target: str, model: str, engine: BatchEngine) -> BatchSpec:
    return BatchSpec(
        model=model,
        input=InputSpec(paths=(source,)),
        output=OutputSpec(path=target),
        engine=engine,
        max_bad_rows=BadRows(count=1),
        batch_size=20,
        partition_rows=ROWS // PARTITIONS,
    )


def contents(files: Iterable[Path], root: str) -> dict[str, bytes]:
    """What is visible of the output in a folder of that name, by names without the id of a job."""
    return {
        f"{file.parent.name}/{file.name[: len('part-00000')]}".removeprefix(f"{root}/"): (
            file.read_bytes()
        )
        for file in files
        if file.suffix == ".parquet"
    }


def test_of_a_job_that_is_cancelled_nothing_is_left(
    home: BatchHome, s3: S3Server, source: str
) -> None:
    waiting = home.submit(job(source, s3.url("gone"), "slow", "ray"))

    process = home.start(home.claim())
    running = home.wait(waiting.id, lambda job: job.committed >= 1 or job.ended)
    assert (running.state, running.reason) == ("running", "")
    home.jobs.want(waiting.id, "cancel", "tests")

    assert running.progress.workers == NODES
    assert process.wait(300) == 0
    assert home.jobs.get(waiting.id).state == "cancelled"
    assert s3.files("gone") == []


def test_a_node_that_dies_in_the_middle_changes_no_byte(
    home: BatchHome, s3: S3Server, cluster: Cluster, source: str, expected: dict[str, bytes]
) -> None:
    waiting = home.submit(job(source, s3.url("ray"), "slow", "ray"))

    process = home.start(home.claim())
    assert home.wait(waiting.id, lambda job: job.committed >= 3 or job.ended).state == "running"
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    assert process.wait(300) == 0

    done = home.jobs.get(waiting.id)
    assert (done.state, done.reason) == ("succeeded", "")
    assert contents(s3.files("ray"), "ray") == expected


def test_a_driver_that_is_killed_is_replaced_by_one_that_does_the_rest(
    home: BatchHome, s3: S3Server, source: str, expected: dict[str, bytes]
) -> None:
    waiting = home.submit(job(source, s3.url("again"), "slow", "ray"))

    process = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.committed >= 3 or job.ended)
    (driver,) = children_that_run("augurium.batch.ray_driver", process.pid)
    driver.kill()
    assert process.wait(300) == 0

    done = home.jobs.get(waiting.id)
    assert (done.state, done.reason) == ("succeeded", "")
    assert done.progress.read_rows == ROWS
    assert contents(s3.files("again"), "again") == expected


def test_a_cluster_that_does_not_answer_leaves_the_job_waiting(tmp_path: Path) -> None:
    batch = {"ray_address": f"127.0.0.1:{free_port()}", "scheduling": "normal", "workers": 1}
    away = BatchHome(tmp_path / "home", {"batch": batch})
    away.register_runtime(products(), "slow", "onnx", FLOATS)
    pq.write_table(pa.table({"x": np.arange(3, dtype=np.float32)}), tmp_path / "in.parquet")

    found = away.run(job(str(tmp_path / "in.parquet"), str(tmp_path / "out"), "slow", "ray"))

    assert found.state == "queued"
    assert f"the Ray cluster at {batch['ray_address']} does not answer" in found.reason
    away.close()


def test_without_an_address_a_cluster_of_this_machine_lives_as_long_as_the_job(
    tmp_path: Path,
) -> None:
    alone = BatchHome(tmp_path / "home", {"batch": {"scheduling": "normal", "workers": 1}})
    alone.register_runtime(deadly(), "deadly", "python", DOUBLES)
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"x": np.arange(300.0)}), tmp_path / "in" / "a.parquet")

    done = alone.run(job(str(tmp_path / "in"), str(tmp_path / "out"), "deadly", "ray"))

    assert (done.state, done.reason) == ("succeeded", "")
    answers = pq.read_table(tmp_path / "out", partitioning=None)
    assert answers.column("y").to_pylist() == [2.0 * n for n in range(300) if n != DEADLY]
    assert done.progress.rejected == {"model_failed": 1}
    report = alone.jobs.report(done.id)
    assert report is not None
    told = json.loads(report)
    assert (told["engine"], told["workers"]) == ("ray", 1)
    assert list(Path(tempfile.gettempdir()).glob("augurium-ray-*")) == []
    alone.close()
