"""A draft that may be registered, to be changed by each test."""

import pytest

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import Artifact, VersionDraft


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
