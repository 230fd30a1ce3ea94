"""Stores that fail while a node serves: a disk without room, a Redis that is gone and back. No
answer is wrong, and none is missing.
"""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from augurium.core.errors import AuguriumError
from tests.support.disk import small_disk
from tests.support.models import picky_model, table_model
from tests.support.node import Node
from tests.support.redis_server import RedisServer, redis_server
from tests.support.s3_server import S3Server, s3, s3_server
from tests.support.traffic import Question, Traffic

__all__ = ["redis_server", "s3", "s3_server"]

TABLE_BYTES = 2_000_000
LARGE_BYTES = 6_000_000
CACHE = "8m"
# where no file system may be mounted
LIMITED = ("prlimit", "--fsize=4000000")
REMOTE = """
[storage]
artifacts_url = "{url}"
s3_endpoint = "{endpoint}"
"""
SHARED = """
[cache]
redis_url = "{url}"
redis_timeout_s = 0.2
"""
ROWS = 9


@pytest.fixture
def cramped(start: Callable[..., Node], tmp_path: Path, s3: S3Server) -> Node:
    """A node whose models lie in an object store, with little room for copies of them."""
    home = tmp_path / "home"
    config = tmp_path / "augurium.toml"
    config.write_text(REMOTE.format(url=s3.url(tmp_path.name), endpoint=s3.endpoint))
    flags = ("--engines", "2", "--config", str(config))
    roomy = start(home, *flags)
    register_tables(roomy)
    roomy.stop()
    shutil.rmtree(home / "cache")
    (home / "cache").mkdir()
    disk = small_disk(home / "cache", CACHE)
    return start(home, *flags, prefix=disk.prefix or LIMITED)


def register_tables(node: Node) -> None:
    sizes = {"cramped0": TABLE_BYTES, "cramped1": TABLE_BYTES}
    sizes |= {"cramped-large": LARGE_BYTES, "cramped-fits": TABLE_BYTES}
    with node.client() as client:
        for value, (name, size_bytes) in enumerate(sizes.items()):
            client.register(onnx.load_from_string(table_model(value, size_bytes)), name=name)
        for name in ("cramped0", "cramped1"):
            client.deploy(name, 1)


def table_row(chance: random.Random) -> Question:
    value = chance.randrange(2)
    body = {"instances": [[chance.randrange(TABLE_BYTES // 4)]]}
    return Question(f"/v1/models/cramped{value}:predict", body, {"predictions": [[value]]})


def test_a_disk_that_is_full_while_a_model_comes_costs_only_that_deployment(
    cramped: Node,
) -> None:
    with cramped.client() as client, Traffic(cramped, table_row) as traffic:
        for _ in range(3):
            with pytest.raises(
                AuguriumError, match="node's copies of artifacts has no room for 6000128 bytes"
            ):
                client.deploy("cramped-large", 1)
        # nothing of the failed copies is left in the way
        client.deploy("cramped-fits", 1)
        answer = cramped.ask("/v1/models/cramped-fits:predict", {"instances": [[1]]})
        assert answer.json == {"predictions": [[3.0]]}
    assert not traffic.wrong
    assert not traffic.failed
    assert traffic.right > 20


@pytest.fixture
def remembering(start: Callable[..., Node], tmp_path: Path, redis_server: RedisServer) -> Node:
    config = tmp_path / "augurium.toml"
    config.write_text(SHARED.format(url=redis_server.url))
    node = start(tmp_path / "home", "--engines", "2", "--config", str(config))
    with node.client() as client:
        client.register(onnx.load_from_string(picky_model()), name="remembered")
        client.deploy("remembered", 1)
        client.set_serving("remembered", {"cache": {"ttl_s": 0.05}})
    return node


def test_a_redis_that_is_killed_hangs_and_comes_back_costs_no_answer(
    remembering: Node, redis_server: RedisServer
) -> None:
    def question(chance: random.Random) -> Question:
        place = chance.randrange(ROWS)
        body = {"instances": [[place]]}
        return Question("/v1/models/remembered:predict", body, {"predictions": [[place * 10]]})

    with Traffic(remembering, question) as traffic:
        for trouble in (redis_server.kill, redis_server.pause):
            time.sleep(0.7)
            trouble()
            time.sleep(1.5)
            if trouble == redis_server.kill:
                redis_server.start()
            else:
                redis_server.resume()
        time.sleep(0.7)
    assert not traffic.wrong
    assert not traffic.failed
    assert traffic.right > 100
