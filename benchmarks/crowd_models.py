"""A thousand models, each with weights of its own, in the home folder of a node.

They are rankers: four numbers of things are looked up in an embedding table, which makes the bytes
of the model, and a small network gives a score.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper

from augurium.core.clock import SystemClock
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.database import open_database, registry_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.sql_registry import SqlRegistry

ACTOR = "benchmark"
WIDTH, PLACES, HIDDEN = 16, 4, 32
SMALLEST_BYTES, LARGEST_BYTES = 1_000_000, 10_000_000
SIGNATURE = Signature(
    inputs=(TensorSpec("things", "INT64", (-1, PLACES)),),
    outputs=(TensorSpec("score", "FP32", (-1, 1)),),
)


class Crowd(msgspec.Struct, frozen=True):
    """What is in a home folder: so many models of so many bytes together."""

    models: int
    bytes: int


def name_of(number: int) -> str:
    """The name of one of the models."""
    return f"ranker-{number:04d}"


def expected(number: int) -> float:
    """What model `number` answers to every row: its tables say nothing else."""
    return float(1 / (1 + np.exp(-np.float32(_level(number)))))


def settle(folder: Path, models: int) -> Crowd:
    """A home with `models` deployed models in it, of an earlier call if there was one."""
    note = folder / "crowd.json"
    if note.exists():
        crowd = msgspec.json.decode(note.read_bytes(), type=Crowd)
        if crowd.models == models:
            return crowd
    shutil.rmtree(folder, ignore_errors=True)
    home = Home(folder)
    home.create()
    artifacts = ObstoreArtifacts(home.artifacts)
    database = open_database(registry_url(StorageSettings(), home.database))
    total = 0
    with closing(SqlRegistry(database, SystemClock(), artifacts.contains)) as registry:
        for number, content in enumerate(_contents(models)):
            total += len(content)
            stored = artifacts.put([content], LARGEST_BYTES * 2)
            registry.register(name_of(number), _draft(stored), ACTOR)
            registry.set_deployed(name_of(number), 1, True, ACTOR)
            registry.set_default(name_of(number), 1, ACTOR)
    note.write_bytes(msgspec.json.encode(Crowd(models, total)))
    return Crowd(models, total)


def _contents(models: int) -> Iterator[bytes]:
    sizes = np.geomspace(SMALLEST_BYTES, LARGEST_BYTES, models)
    np.random.default_rng(0).shuffle(sizes)
    for number, size in enumerate(sizes):
        yield ranker(number, int(size) // (4 * WIDTH))


def _level(number: int) -> float:
    return (number % 997) / 500 - 1


def ranker(number: int, things: int) -> bytes:
    """An ONNX model that knows so many things, and whose scores tell its number."""
    table = np.random.default_rng(number).normal(size=(things, WIDTH)).astype(np.float32)
    weights = {
        "table": table,
        "shape": np.array([-1, PLACES * WIDTH]),
        # the network is really run; it ends in zeros and a constant, by which an answer is checked
        "w1": np.random.default_rng(number).normal(size=(PLACES * WIDTH, HIDDEN)).astype("f4"),
        "b1": np.zeros(HIDDEN, np.float32),
        "w2": np.zeros((HIDDEN, 1), np.float32),
        "b2": np.array([_level(number)], np.float32),
    }
    nodes = [
        oh.make_node("Gather", ["table", "things"], ["found"]),
        oh.make_node("Reshape", ["found", "shape"], ["flat"]),
        oh.make_node("Gemm", ["flat", "w1", "b1"], ["hidden"]),
        oh.make_node("Relu", ["hidden"], ["active"]),
        oh.make_node("Gemm", ["active", "w2", "b2"], ["level"]),
        oh.make_node("Sigmoid", ["level"], ["score"]),
    ]
    graph = oh.make_graph(
        nodes,
        "ranker",
        [oh.make_tensor_value_info("things", onnx.TensorProto.INT64, ["rows", PLACES])],
        [oh.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["rows", 1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def _draft(stored: Artifact) -> VersionDraft:
    return VersionDraft(
        framework="onnx",
        framework_version="1.23.2",
        runtime="onnx",
        source=stored,
        source_name="ranker.onnx",
        servable=stored,
        signature=SIGNATURE,
        examples=([1, 2, 3, 4],),
    )
