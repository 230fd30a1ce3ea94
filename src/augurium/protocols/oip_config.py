"""A model's configuration, as the model-configuration extension describes it.

Source: Triton, "Model Configuration", in the JSON form of its `ModelConfig`; 64-bit integers are
numbers, as Triton writes them.
"""

from collections.abc import Iterable
from typing import Any

from augurium.core.identifiers import ModelRef
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.oip import platform
from augurium.serving.plane import DataPlane
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion

BACKENDS = {"onnx": "onnxruntime", "torch": "pytorch", "keras": "tensorflow"}
MICROSECONDS_PER_MS = 1000

Config = dict[str, Any]


def model_config(plane: DataPlane, model: ModelRef) -> Config:
    """The configuration of the version that answers; raises NotFound and NotReady.

    `max_batch_size` is 0 for a version that takes whole tensors instead of rows; otherwise `dims`
    leave the rows out. `max_queue_size` counts rows.
    """
    desired = plane.version(model).desired
    routes = plane.routes(model.name)
    versions = sorted({*routes.ready, *routes.unready})
    signature = desired.signature
    config: Config = {
        "name": desired.model,
        "platform": platform(desired.runtime),
        "backend": BACKENDS.get(desired.runtime, desired.runtime),
        "version_policy": {"specific": {"versions": versions}},
        "max_batch_size": desired.batching.max_batch_size if signature.batched else 0,
        "input": _tensors(signature.inputs, signature),
        "output": _tensors(signature.outputs, signature),
        "instance_group": [{"name": f"{desired.model}_0", "kind": "KIND_CPU", "count": 1}],
        "model_transaction_policy": {"decoupled": signature.streamed},
        "response_cache": {"enable": False},
        "parameters": _parameters(desired),
    }
    if signature.batched and not signature.streamed:
        config["dynamic_batching"] = _batching(desired.batching)
    return config


def _tensors(specs: Iterable[TensorSpec], signature: Signature) -> list[dict[str, object]]:
    return [
        {
            "name": spec.name,
            "data_type": "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}",
            "dims": spec.shape[1:] if signature.batched else spec.shape,
            **({"optional": True} if spec.optional else {}),
        }
        for spec in specs
    ]


def _batching(policy: BatchingPolicy) -> dict[str, object]:
    return {
        "max_queue_delay_microseconds": round(policy.max_queue_delay_ms * MICROSECONDS_PER_MS),
        "default_queue_policy": {"max_queue_size": policy.max_queue_rows},
    }


def _parameters(desired: DesiredVersion) -> dict[str, dict[str, str]]:
    said = {"version": str(desired.version), "runtime": desired.runtime, "sha256": desired.digest}
    return {name: {"string_value": value} for name, value in said.items()}
