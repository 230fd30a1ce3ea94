"""Copies of remote files that are damaged while a node serves: fetched again, never served."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper
import pytest

from tests.support.callers import Callers
from tests.support.models import graph
from tests.support.node import Node
from tests.support.s3_server import S3Server, s3, s3_server

__all__ = ["s3", "s3_server"]

MODELS = 4
PLACES = 250_000
ENOUGH = 50
PATIENCE_S = 60.0
# of the four megabytes that the models take, each engine may hold about two
CONFIG = """
[residency]
memory_bytes = 5_000_000
[storage]
artifacts_url = "{url}"
s3_endpoint = "{endpoint}"
"""


def constant_table(value: int) -> onnx.ModelProto:
    """Looks its answer up in a table that holds nothing but `value`."""
    table = np.full(PLACES, value, np.float32)
    return onnx.load_from_string(
        graph(
            [oh.make_node("Gather", ["table", "place"], ["found"])],
            [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["rows", 1])],
            [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["rows", 1])],
            (onnx.numpy_helper.from_array(table, "table"),),
        )
    )


@pytest.fixture
def remote(start: Callable[..., Node], tmp_path: Path, s3: S3Server) -> Node:
    file = tmp_path / "augurium.toml"
    file.write_text(CONFIG.format(url=s3.url(tmp_path.name), endpoint=s3.endpoint))
    return start(tmp_path / "home", "--engines", "2", "--config", str(file))


@pytest.fixture
def copies(remote: Node, tmp_path: Path) -> list[Path]:
    """The models' files in the node's cache, one after the other."""
    digests = []
    with remote.client() as client:
        for value in range(MODELS):
            client.register(constant_table(value), name=f"constant{value}")
            client.deploy(f"constant{value}", 1)
            digests.append(client.version(f"constant{value}", 1).servable.digest)
    cache = tmp_path / "home/cache/sha256"
    return [cache / digest[:2] / digest for digest in digests]


def choose(chance: random.Random) -> tuple[str, list[int]]:
    return f"constant{chance.randrange(MODELS)}", [chance.randrange(PLACES)]


def damage(file: Path, kind: str) -> None:
    """As a program or a person might, or a disk that lost a block and its times."""
    found = file.stat()
    if kind == "missing":
        file.unlink()
        return
    if kind == "cut short":
        os.truncate(file, found.st_size // 2)
        return
    with file.open("r+b") as stream:
        stream.seek(found.st_size // 2)
        stream.write(os.urandom(4096))
    # with the seal of the cache, as if nobody had written
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def kinds() -> Iterator[str]:
    while True:
        yield from ("other bytes", "missing", "cut short")


def test_copies_damaged_under_load_are_fetched_again_and_no_answer_is_wrong(
    remote: Node, copies: list[Path]
) -> None:
    with Callers(remote, choose, number=3) as callers:
        began = time.monotonic()
        for kind in kinds():
            lasted_s = time.monotonic() - began
            if lasted_s > (6 if len(callers.answers) > ENOUGH else PATIENCE_S):
                break
            for file in copies:
                if file.exists():
                    damage(file, kind)
            time.sleep(0.7)
    wrong = [one for one in callers.answers if f"constant{one.prediction[0]:.0f}" != one.model]
    assert not wrong
    assert not callers.failed
    assert len(callers.answers) > ENOUGH
