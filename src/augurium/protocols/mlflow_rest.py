"""MLflow's scoring protocol over REST.

Source: MLflow 3, `mlflow/pyfunc/scoring_server`. The paths that name a model are our own: MLflow's
server has only one.
"""

import asyncio
from typing import Any

from msgspec.structs import replace

from augurium.core.errors import AuguriumError, NotFound, UnsupportedMedia
from augurium.core.identifiers import ModelRef, model_ref
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.protocols import mlflow_body, oip
from augurium.protocols.answer_headers import origin_of_parts
from augurium.protocols.http import HttpResponse, StreamedResponse, json_response
from augurium.protocols.mlflow_body import MlflowBody
from augurium.protocols.mlflow_csv import rows_of_csv
from augurium.protocols.mlflow_errors import INVOCATIONS, TEXT_TYPE
from augurium.protocols.predictions import predictions
from augurium.protocols.routing import Answer, Call, Route
from augurium.protocols.row_answers import answer_rows
from augurium.serving.plane import DataPlane
from augurium.serving.router import unknown_model

JSON, CSV = "application/json", "text/csv"
PONG = b"\n"


class MlflowRest:
    """The handlers of `invocations`; `infer` answers bodies of the Open Inference Protocol, and
    `default_model` is `name` or `name@alias`, empty for the only one that is deployed.
    """

    def __init__(
        self, plane: DataPlane, max_json_depth: int, infer: Answer, default_model: str = ""
    ) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth
        self._infer = infer
        self._default = model_ref(default_model) if default_model else None

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol."""
        return (
            Route("POST", INVOCATIONS, "infer", self.invocations),
            Route("POST", f"/v1/models/{{model}}{INVOCATIONS}", "infer", self.invocations),
            Route(
                "POST",
                f"/v1/models/{{name}}/labels/{{label}}{INVOCATIONS}",
                "infer",
                self.invocations,
            ),
            Route("GET", "/ping", "ready", self.ping),
            Route("GET", "/health", "ready", self.ping),
            Route("GET", "/version", "server", self.version),
        )

    async def invocations(self, call: Call) -> HttpResponse | StreamedResponse:
        """`POST /invocations`, and the same for a model that the path names."""
        try:
            model = call.model if call.model.name else self._default_model(call)
            if call.request.is_large:
                body = await asyncio.to_thread(self._body, call, model)
            else:
                body = self._body(call, model)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        if body is None:
            return await self._infer(replace(call, model=model))
        deadline = self._plane.deadline(call.timeout_s)
        responses = await answer_rows(
            self._plane,
            InferenceRequest(
                model,
                body.inputs,
                deadline,
                parameters=body.parameters,
                refresh=call.refresh,
                priority=call.priority,
                header=call.request.header,
                prediction_id=call.request_id,
            ),
        )
        answer = json_response(_content(responses, body.bare))
        answer.headers.extend(origin_of_parts(responses))
        return answer

    def _body(self, call: Call, model: ModelRef) -> MlflowBody | None:
        """What is asked; None for a body of the Open Inference Protocol."""
        content = call.request.content
        if _media_type(call.request.header("content-type")) == CSV:
            return MlflowBody(rows_of_csv(content, self._plane.asked(model).signature), {})
        fields = mlflow_body.fields_of(content, self._max_json_depth)
        if mlflow_body.is_open_inference(fields):
            return None
        return mlflow_body.body_of(fields, self._plane.asked(model).signature)

    async def ping(self, _call: Call) -> HttpResponse:
        """`GET /ping` and `GET /health`: 404 as long as there is no model."""
        if not self._plane.ready:
            return HttpResponse(503, [TEXT_TYPE], b"this engine is starting or stopping\n")
        return HttpResponse(200 if self._plane.models() else 404, [TEXT_TYPE], PONG)

    async def version(self, _call: Call) -> HttpResponse:
        """`GET /version`: of this server."""
        return HttpResponse(200, [TEXT_TYPE], oip.server_version().encode())

    def _default_model(self, call: Call) -> ModelRef:
        """Raises NotFound where it is not clear which model is meant."""
        if self._default is not None:
            if not call.sees(self._default.name):
                raise unknown_model(self._default.name)
            return self._default
        models = list(filter(call.sees, self._plane.models()))
        if len(models) != 1:
            deployed = f"{len(models)} models are" if models else "no model is"
            raise NotFound(
                f"{INVOCATIONS} names no model, and {deployed} deployed here: use"
                f" /v1/models/MODEL{INVOCATIONS}, or set node.default_model"
            )
        return ModelRef(models[0])


def _content(responses: list[InferenceResponse], bare: bool) -> Any:
    found = [value for response in responses for value in predictions(response, wrap=False)]
    if not bare:
        return {"predictions": found}
    return found[0] if len(found) == 1 else found


def _media_type(text: str | None) -> str:
    """What the body is; raises UnsupportedMedia for what is not spoken here."""
    media, *parameters = (text or JSON).split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() != "charset":
            raise UnsupportedMedia(
                f"content type parameter '{name[:32]}' is not known; send only charset=utf-8"
            )
        if value.strip('"').lower() != "utf-8":
            raise UnsupportedMedia("the scoring server only supports UTF-8")
    media = media.strip().lower()
    if media not in (JSON, CSV):
        raise UnsupportedMedia(
            f"content type '{media[:64]}' is not supported; send {JSON} or {CSV}"
        )
    return media
