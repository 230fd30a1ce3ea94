"""A registry on a real file, and programs that run in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.database import sqlite_url
from augurium.registry.records import Artifact, VersionDraft
from tests.support.s3_server import s3, s3_server

__all__ = ["s3", "s3_server"]

PROGRAMS = Path(__file__).parent / "programs"
RunProgram = Callable[..., Any]


@pytest.fixture
def url(tmp_path: Path) -> URL:
    return sqlite_url(tmp_path / "registry.db")


@pytest.fixture
def draft() -> VersionDraft:
    return VersionDraft(
        framework="sklearn",
        framework_version="1.7.2",
        runtime="onnx",
        source=Artifact("a" * 64, 2048),
        source_name="fraud.skops",
        servable=Artifact("b" * 64, 1024),
        signature=Signature(
            inputs=(TensorSpec("age", "FP32", (-1,)),),
            outputs=(TensorSpec("probability", "FP32", (-1,)),),
        ),
    )


@pytest.fixture
def run_program() -> RunProgram:
    """Runs `programs/NAME.py` with arguments, after `prefix`; returns the JSON it prints."""

    def run(name: str, *arguments: object, prefix: tuple[str, ...] = ()) -> Any:
        command = [*prefix, sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            pytest.fail(f"{name} ended with {done.returncode}:\n{done.stderr}")
        return json.loads(done.stdout)

    return run
