"""A signature as TensorFlow Serving describes it: `GetModelMetadataResponse` in JSON.

Source: TensorFlow Serving, RESTful API, "Model Metadata API"; tensorflow/core/protobuf/meta_graph.
"""

from collections.abc import Sequence
from typing import Any

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.v1_body import DEFAULT_SIGNATURE

METHOD = "tensorflow/serving/predict"
DTYPES = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "BF16": "DT_BFLOAT16",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}


def model_metadata(name: str, version: int, signature: Signature) -> dict[str, Any]:
    """The answer for one version, whose only signature is the default one."""
    definition = {
        "inputs": _tensors(signature.inputs),
        "outputs": _tensors(signature.outputs),
        "method_name": METHOD,
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {DEFAULT_SIGNATURE: definition}}},
    }


def _tensors(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    return {
        spec.name: {
            "dtype": DTYPES[spec.datatype],
            "tensor_shape": {
                # a 64-bit integer is a text in the JSON of protobuf
                "dim": [{"size": str(extent), "name": ""} for extent in spec.shape],
                "unknown_rank": False,
            },
            "name": f"{spec.name}:0",
        }
        for spec in specs
    }
