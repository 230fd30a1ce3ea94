"""The v1 protocol of TensorFlow Serving and KServe over REST: predict with rows or named features,
and status.
"""

from typing import Any

import msgspec

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.inference import InferenceRequest, InferenceResponse, Instances
from augurium.protocols.http import HttpResponse, json_response
from augurium.protocols.json_depth import check_depth
from augurium.protocols.routing import Call, Route
from augurium.serving.plane import DataPlane


class PredictBody(msgspec.Struct):
    instances: list[Any]
    signature_name: str | None = None


_decoder = msgspec.json.Decoder(PredictBody)


class V1Rest:
    """The handlers of `/v1`; each takes a call that was routed to it."""

    def __init__(self, plane: DataPlane, max_json_depth: int) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol."""
        model = "/v1/models/{model}"
        return (
            Route("GET", "/v1/models", "models", self.models),
            Route("GET", model, "metadata", self.status),
            Route("POST", f"{model}:predict", "infer", self.predict),
        )

    async def predict(self, call: Call) -> HttpResponse:
        """`POST /v1/models/M[/versions/V]:predict`."""
        try:
            instances = self._decode(call.request.body or b"")
        except AuguriumError as error:
            self._plane.count_unrouted(error.kind)
            raise
        response = await self._plane.infer(
            InferenceRequest(call.model, instances, self._plane.deadline(call.timeout_s))
        )
        answer = json_response({"predictions": _predictions(response)})
        answer.headers.append(("augurium-version", str(response.version)))
        return answer

    async def status(self, call: Call) -> HttpResponse:
        """`GET /v1/models/M`: KServe's and TensorFlow Serving's answer in one object."""
        model = call.model
        routes = self._plane.routes(model.name)
        content: dict[str, object] = {"name": model.name, "ready": True}
        status = 200
        try:
            self._plane.version(model)
        except AuguriumError as error:
            content.update(ready=False, error=str(error))
            status = 503
        content["model_version_status"] = [
            _version_status(number, routes.unready.get(number))
            for number in sorted({*routes.ready, *routes.unready})
        ]
        return json_response(content, status)

    async def models(self, call: Call) -> HttpResponse:
        """`GET /v1/models`."""
        return json_response({"models": list(filter(call.sees, self._plane.models()))})

    def _decode(self, body: bytes) -> Instances:
        check_depth(body, self._max_json_depth)
        try:
            return Instances(_decoder.decode(body).instances)
        except msgspec.ValidationError as error:
            raise InvalidArgument(
                f'expected {{"instances": [row, ...]}} with rows as lists or objects of'
                f" features: {error}"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"failed to parse the request JSON: {error}") from error


def _predictions(response: InferenceResponse) -> list[Any]:
    """One entry per row: a bare value for one output, an object by output name for several."""
    columns = [_rows(response.answer.array(index).tolist()) for index in response.indices]
    if len(columns) == 1:
        return columns[0]
    names = [spec.name for spec in response.specs]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _rows(column: Any) -> list[Any]:
    """One value per row; a row that holds a single value gives that value."""
    if not isinstance(column, list):
        return [column]
    if column and all(isinstance(row, list) and len(row) == 1 for row in column):
        return [row[0] for row in column]
    return column


def _version_status(number: int, reason: str | None) -> dict[str, object]:
    """TensorFlow Serving's entry of `GetModelStatusResponse`."""
    return {
        "version": str(number),
        "state": "AVAILABLE" if reason is None else "LOADING",
        "status": {
            "error_code": "OK" if reason is None else "UNAVAILABLE",
            "error_message": reason or "",
        },
    }
