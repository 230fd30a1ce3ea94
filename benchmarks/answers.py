"""Whether a server's answers are right: every request, every protocol, against native XGBoost."""

from typing import Any

import grpc
import httpx
import numpy as np
from tritonclient.grpc import service_pb2

from augurium.core.errors import ModelFailed
from benchmarks.grpc_call import call
from benchmarks.peer import GRPC
from benchmarks.server import JSON, RunningServer
from benchmarks.workload import Floats, Workload, infer_request, rest_body

TOLERANCE = 1e-5


def check(server: RunningServer, workload: Workload) -> None:
    """Asks everything once.

    Raises ModelFailed at the first answer that is an error or differs from native XGBoost by more
    than 1e-5.
    """
    try:
        _check_rest(server, workload)
        if GRPC in server.peer.protocols:
            _check_grpc(server, workload)
    except (httpx.HTTPError, grpc.RpcError, KeyError) as error:
        raise ModelFailed(f"{server.peer.name} did not answer as expected: {error!r}") from error


def _check_rest(server: RunningServer, workload: Workload) -> None:
    with httpx.Client(trust_env=False) as client:
        for number, row in enumerate(workload.rows):
            answer = client.post(server.rest_url, content=rest_body(row), headers=JSON)
            _compare(server, workload, number, _rest_outputs(answer))


def _check_grpc(server: RunningServer, workload: Workload) -> None:
    for number, row in enumerate(workload.rows):
        content = call(server.grpc_address, infer_request(row).SerializeToString())
        _compare(server, workload, number, _grpc_outputs(content))


def _rest_outputs(answer: httpx.Response) -> dict[str, Any]:
    outputs = answer.raise_for_status().json()["outputs"]
    return {output["name"]: np.ravel(output["data"]) for output in outputs}


def _grpc_outputs(content: bytes) -> dict[str, Any]:
    answer = service_pb2.ModelInferResponse.FromString(content)
    dtypes = {"INT64": "<i8", "FP32": "<f4"}
    raw = zip(answer.outputs, answer.raw_output_contents, strict=True)
    return {output.name: np.frombuffer(data, dtypes[output.datatype]) for output, data in raw}


def _compare(
    server: RunningServer, workload: Workload, number: int, outputs: dict[str, Floats]
) -> None:
    label, probabilities = outputs["label"], outputs["probabilities"]
    expected = workload.probabilities[number]
    if int(label[0]) != workload.labels[number] or not np.allclose(
        probabilities, expected, rtol=0, atol=TOLERANCE
    ):
        raise ModelFailed(
            f"{server.peer.name} answered {label} {probabilities} to request {number}; "
            f"native XGBoost says {workload.labels[number]} {expected}; "
            "a server that is wrong is not timed"
        )
