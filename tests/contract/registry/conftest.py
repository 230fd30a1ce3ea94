"""Every port of the registry, once per adapter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from augurium.core.clock import ManualClock
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.registry import Registry
from augurium.registry.sql_registry import SqlRegistry

MakeDraft = Callable[..., VersionDraft]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "memory"])
def registry(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[Registry]:
    opened: Registry
    if request.param == "sqlite":
        opened = SqlRegistry(open_database(sqlite_url(tmp_path / "registry.db")), clock)
    else:
        opened = MemoryRegistry(clock)
    yield opened
    opened.close()


@pytest.fixture
def artifacts_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder


@pytest.fixture(params=["obstore", "memory"])
def artifacts(request: pytest.FixtureRequest, artifacts_folder: Path) -> ArtifactStore:
    if request.param == "obstore":
        return ObstoreArtifacts(artifacts_folder)
    return MemoryArtifacts(artifacts_folder)


@pytest.fixture
def draft() -> MakeDraft:
    """Makes a draft; name what differs from the usual one."""
    usual = VersionDraft(
        framework="sklearn",
        framework_version="1.7.2",
        runtime="onnx",
        source=Artifact("a" * 64, 2048),
        source_name="fraud.skops",
        servable=Artifact("b" * 64, 1024),
        signature=Signature(
            inputs=(TensorSpec("rows", "FP32", (-1, 2), features=("age", "amount")),),
            outputs=(TensorSpec("probability", "FP32", (-1,)),),
        ),
    )

    def make(**changes: Any) -> VersionDraft:
        return msgspec.structs.replace(usual, **changes)

    return make
