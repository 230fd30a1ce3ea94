"""What KServe's published clients find out about a node, as one JSON object on standard output.

It runs in an environment of its own, because `kserve` asks for other versions of our dependencies:
`python kserve_client.py REST_URL GRPC_ADDRESS ROWS`, rows for the model `tabular` in JSON.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL, ABSENT = "tabular", "absent"


async def over_v1(url: str, rows: list[list[float]]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    answer = await client.infer(url, {"instances": rows}, model_name=MODEL)
    return {
        "live": await client.is_server_live(url),
        "model_ready": await client.is_model_ready(url, MODEL),
        "predictions": answer["predictions"],
        "refused": await refused(client.infer(url, {"instances": 3}, model_name=MODEL)),
        "unknown": await refused(client.infer(url, {"instances": rows}, model_name=ABSENT)),
        "unexplained": await refused(client.explain(url, MODEL, {"instances": rows})),
    }


async def over_v2(url: str, rows: list[list[float]]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    json_answer = await client.infer(url, request(rows, binary=False), model_name=MODEL)
    binary_answer = await client.infer(url, request(rows, binary=True), model_name=MODEL)
    return {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, MODEL),
        "json": outputs(json_answer),
        "binary": outputs(binary_answer),
        "unknown": await refused(
            client.infer(url, request(rows, binary=False, model=ABSENT), model_name=ABSENT)
        ),
    }


async def over_grpc(address: str, rows: list[list[float]]) -> dict[str, Any]:
    async with InferenceGRPCClient(address) as client:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready(MODEL),
            "typed": outputs(await client.infer(request(rows, binary=False))),
            "raw": outputs(await client.infer(request(rows, binary=True))),
        }


def request(rows: list[list[float]], binary: bool, model: str = MODEL) -> InferRequest:
    values = np.array(rows, np.float32)
    tensor = InferInput("features", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, binary_data=binary)
    wanted = [RequestedOutput(name, {"binary_data": binary}) for name in ("label", "probabilities")]
    return InferRequest(model, [tensor], request_id="1", request_outputs=wanted)


def outputs(answer: Any) -> dict[str, Any]:
    return {output.name: output.as_numpy().tolist() for output in answer.outputs}


async def refused(call: Any) -> dict[str, Any]:
    try:
        await call
    except httpx.HTTPStatusError as error:
        return {"status": error.response.status_code, "text": str(error)}
    return {}


async def main(url: str, address: str, rows: list[list[float]]) -> None:
    found = {
        "v1": await over_v1(url, rows),
        "v2": await over_v2(url, rows),
        "grpc": await over_grpc(address, rows),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
