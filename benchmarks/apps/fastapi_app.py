"""The model behind FastAPI, with the session in the lifespan."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from tabular_session import TabularSession, row_of  # type: ignore[import-not-found]

PATH = "/v2/models/tabular/infer"


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(BaseModel):
    inputs: list[Tensor]


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    application.state.session = TabularSession()
    yield


async def infer_typed(body: InferRequest, request: Request) -> Any:
    """As the documentation teaches it: a typed body in, a plain dict out."""
    features = body.inputs[0]
    rows = np.array(features.data, np.float32).reshape(features.shape)
    return _predict(request, rows)


async def infer_raw(request: Request) -> Response:
    """Past validation: what remains is routing."""
    answer = _predict(request, row_of(orjson.loads(await request.body())))
    return Response(orjson.dumps(answer), media_type="application/json")


def create() -> FastAPI:
    """The application; BENCH_BODY says whether its body is `typed` or `raw`."""
    application = FastAPI(lifespan=lifespan)
    handlers: dict[str, Callable[..., Any]] = {"typed": infer_typed, "raw": infer_raw}
    application.add_api_route(PATH, handlers[os.environ["BENCH_BODY"]], methods=["POST"])
    return application


def _predict(request: Request, rows: Any) -> Any:
    session = request.app.state.session
    labels, probabilities = session.run(rows)
    return session.answer(labels[0], probabilities[0])
