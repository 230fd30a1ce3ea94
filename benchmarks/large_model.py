"""A model of gigabytes: `python -m benchmarks.large_model` from the root of the checkout.

    python -m benchmarks.large_model [--gb 5] [--keep]

A chain of matrix products with synthetic weights in a file of their own, as an import sets them
apart, served by one engine and by two. Measures a first start, which hashes the file; a start after
that, from the local disk (the aim is 3 s); the first answer; and by how much a second engine makes
the node larger (the aim is a tenth), by proportional memory (PSS).
"""

import argparse
import hashlib
import http.client
import json
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as oh

from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError, InsufficientStorage
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.database import open_database, registry_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import VersionDraft
from augurium.registry.sql_registry import SqlRegistry
from benchmarks.augurium_node import AuguriumNode
from benchmarks.machine import machine_facts
from benchmarks.run import BENCH, RESULTS
from benchmarks.server import free_ports
from benchmarks.turn import only_one

MODEL, ACTOR = "large", "benchmark"
WIDTH = 4096
LAYER_BYTES = WIDTH * WIDTH * 4
GB, MIB = 10**9, 2**20


class Start(msgspec.Struct, frozen=True):
    """One start of the node: seconds to its ready line and of the first answer, MiB of the node
    after some answers.
    """

    engines: int
    ready_s: float
    first_answer_s: float
    pss_mib: float


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.large_model", description=__doc__)
    parser.add_argument("--gb", type=float, default=5.0)
    parser.add_argument("--keep", action="store_true", help="leave the model on the disk")
    chosen = parser.parse_args()
    folder = BENCH / "large-model"
    try:
        with only_one(BENCH):
            content = _measured(folder, max(1, round(chosen.gb * GB / LAYER_BYTES)))
    except AuguriumError as error:
        print(f"large model not measured: {error}", file=sys.stderr)
        return 1
    finally:
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(msgspec.to_builtins(content), indent=1)
    (RESULTS / "large_model.json").write_text(text + "\n")
    print(text)
    return 0


def _measured(folder: Path, layers: int) -> dict[str, object]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    needed = 2 * layers * LAYER_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise InsufficientStorage(f"{needed / GB:.0f} GB of disk are needed; take a smaller --gb")
    home = folder / "home"
    _settle(home, folder, layers)
    first = _start(home, 1)
    one = _start(home, 1)
    # the second engine warms up like a new version the first time
    _start(home, 2)
    two = _start(home, 2)
    weights_mib = layers * LAYER_BYTES / MIB
    return {
        "weights_gb": round(layers * LAYER_BYTES / GB, 2),
        "first_start_s": first.ready_s,
        "one_engine": one,
        "two_engines": two,
        "second_engine_share": round((two.pss_mib - one.pss_mib) / weights_mib, 3),
        "machine": machine_facts(),
    }


def _settle(home_folder: Path, folder: Path, layers: int) -> None:
    """A home in which the model is deployed."""
    home = Home(home_folder)
    home.create()
    artifacts = ObstoreArtifacts(home.artifacts)
    weights = _weights(folder / "weights", layers)
    stored_weights = artifacts.put_file(folder / "weights")
    (folder / "weights").unlink()
    graph = _graph(weights, layers)
    stored = artifacts.put([graph], len(graph))
    database = open_database(registry_url(StorageSettings(), home.database))
    with closing(SqlRegistry(database, SystemClock(), artifacts.contains)) as registry:
        draft = VersionDraft(
            framework="onnx",
            framework_version=onnx.__version__,
            runtime="onnx",
            source=stored,
            source_name="large.onnx",
            servable=stored,
            weights=stored_weights,
            signature=Signature(
                inputs=(TensorSpec("x", "FP32", (-1, WIDTH)),),
                outputs=(TensorSpec("y", "FP32", (-1, WIDTH)),),
            ),
            options={"prepacking": "off"},
        )
        registry.register(MODEL, draft, ACTOR)
        registry.set_deployed(MODEL, 1, True, ACTOR)
        registry.set_default(MODEL, 1, ACTOR)


def _weights(file: Path, layers: int) -> str:
    """Writes the weights of every layer; gives their SHA-256, which is the file's name to ONNX."""
    digest = hashlib.sha256()
    chance = np.random.default_rng(0)
    with file.open("wb") as target:
        for _ in range(layers):
            layer = (chance.random((WIDTH, WIDTH), np.float32) - 0.5) * (3.46 / WIDTH**0.5)
            digest.update(layer.data)
            target.write(layer.data)
    return digest.hexdigest()


def _graph(weights: str, layers: int) -> bytes:
    tensors, nodes, value = [], [], "x"
    for number in range(layers):
        tensor = onnx.TensorProto(
            name=f"w{number}",
            dims=[WIDTH, WIDTH],
            data_type=onnx.TensorProto.FLOAT,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        place = {"location": weights, "offset": number * LAYER_BYTES, "length": LAYER_BYTES}
        for key, said in place.items():
            tensor.external_data.add(key=key, value=str(said))
        tensors.append(tensor)
        following = "y" if number == layers - 1 else f"v{number}"
        nodes.append(oh.make_node("MatMul", [value, f"w{number}"], [following]))
        value = following
    kind = onnx.TensorProto.FLOAT
    graph = oh.make_graph(
        nodes,
        "large",
        [oh.make_tensor_value_info("x", kind, ["rows", WIDTH])],
        [oh.make_tensor_value_info("y", kind, ["rows", WIDTH])],
        tensors,
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def _start(home: Path, engines: int) -> Start:
    with AuguriumNode(home, free_ports(), engines) as node:
        began = time.perf_counter()
        _ask(node)
        first_s = time.perf_counter() - began
        # so that every engine has answered: which one takes a connection is up to the kernel
        for _ in range(6 * engines):
            _ask(node)
        return Start(
            engines, round(node.ready_s, 2), round(first_s, 2), round(node.pss_bytes() / MIB, 1)
        )


def _ask(node: AuguriumNode) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", node.ports.rest, timeout=60)) as asked:
        tensor = {"name": "x", "shape": [1, WIDTH], "datatype": "FP32"}
        size = {"parameters": {"binary_data_size": 4 * WIDTH}}
        said = {"parameters": {"binary_data_output": True}}
        head = json.dumps({"inputs": [{**tensor, **size}], **said}).encode()
        headers = {"inference-header-content-length": str(len(head))}
        body = head + np.ones(WIDTH, np.float32).tobytes()
        asked.request("POST", f"/v2/models/{MODEL}/infer", body, headers)
        answer = asked.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise AuguriumError(content.decode(errors="replace")[:300])


if __name__ == "__main__":
    sys.exit(main())
