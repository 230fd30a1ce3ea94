"""The v1 protocol of TensorFlow Serving and KServe over REST: predict with rows, named features or
whole columns, status and metadata.

Source: TensorFlow Serving, RESTful API; KServe, V1 protocol.
"""

import asyncio
from typing import Any

from msgspec import UNSET

from augurium.core.errors import AuguriumError, NotReady, Unimplemented
from augurium.core.inference import InferenceRequest, Instances
from augurium.protocols.answer_headers import origin, origin_of_parts
from augurium.protocols.columns import tensors_of_inputs
from augurium.protocols.http import HttpResponse, StreamedResponse, json_response
from augurium.protocols.media_types import PLAIN, Form, asked_forms
from augurium.protocols.predictions import outputs, predictions
from augurium.protocols.routing import Call, Route
from augurium.protocols.row_answers import answer_rows, are_many
from augurium.protocols.rows_rest import RowsRest
from augurium.protocols.v1_body import PredictBody, predict_body
from augurium.protocols.v1_metadata import model_metadata
from augurium.protocols.written_answers import written_answer
from augurium.serving.plane import DataPlane
from augurium.serving.router import BEING_LOADED


class V1Rest:
    """The handlers of `/v1`; each takes a call that was routed to it."""

    def __init__(self, plane: DataPlane, max_json_depth: int, rows: RowsRest) -> None:
        self._plane = plane
        self._rows = rows
        self._max_json_depth = max_json_depth

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol; a label is an alias."""
        found = [Route("GET", "/v1/models", "models", self.models)]
        for model in ("/v1/models/{model}", "/v1/models/{name}/labels/{label}"):
            found += [
                Route("GET", model, "metadata", self.status),
                Route("GET", f"{model}/metadata", "metadata", self.metadata),
                Route("POST", f"{model}:predict", "infer", self.predict),
                Route("POST", f"{model}:explain", "explain", self.explain),
            ]
        return tuple(found)

    async def predict(self, call: Call) -> HttpResponse | StreamedResponse:
        """`POST /v1/models/M[/versions/V|/labels/L]:predict`."""
        header = call.request.header
        forms = asked_forms(header("content-type"), header("accept"))
        if forms.rows is not Form.JSON:
            return await self._rows.predict(call, forms)
        written = written_answer(self._plane, call) if forms is PLAIN else None
        if written is not None and (known := written.find()) is not None:
            return known
        try:
            if call.request.is_large:
                body = await asyncio.to_thread(self._body, call)
            else:
                body = self._body(call)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        if body.instances is UNSET:
            return await self._predict_columns(call, body.inputs)
        instances = Instances(body.instances)
        if forms is not PLAIN or (
            len(instances.rows) > 1 and are_many(self._plane, call.model, instances)
        ):
            return await self._rows.predict(call, forms, instances)
        response = await self._plane.infer(
            InferenceRequest(
                call.model,
                instances,
                self._plane.deadline(call.timeout_s),
                refresh=call.refresh,
                priority=call.priority,
                header=call.request.header,
                prediction_id=call.request_id,
            )
        )
        answer = json_response({"predictions": predictions(response)})
        answer.headers.extend(origin(response))
        if written is not None:
            written.keep(answer, response)
        return answer

    def _body(self, call: Call) -> PredictBody:
        return predict_body(call.request.content, self._max_json_depth)

    async def explain(self, call: Call) -> HttpResponse:
        """`POST /v1/models/M[/versions/V|/labels/L]:explain`: nothing here explains yet."""
        version = self._plane.version(call.model).desired
        raise Unimplemented(
            f"version {version.version} of model '{call.model.name}' has no explainer: this server"
            f" gives predictions only; use /v1/models/{call.model.name}:predict"
        )

    async def status(self, call: Call) -> HttpResponse:
        """`GET /v1/models/M[/versions/V|/labels/L]`: KServe's and TensorFlow Serving's answer in
        one object; of all versions, or of the one that is named.
        """
        model = call.model
        routes = self._plane.routes(model.name)
        content: dict[str, object] = {"name": model.name, "ready": True}
        status = 200
        try:
            self._plane.version(model)
        except NotReady as error:
            content.update(ready=False, error=str(error))
            status = 503
        numbers = sorted({*routes.ready, *routes.unready})
        if model.version is not None:
            numbers = [model.version]
        elif model.alias is not None:
            numbers = [routes.aliases[model.alias]]
        content["model_version_status"] = [
            _version_status(number, routes.unready.get(number)) for number in numbers
        ]
        return json_response(content, status)

    async def metadata(self, call: Call) -> HttpResponse:
        """`GET /v1/models/M[/versions/V|/labels/L]/metadata`: the signature."""
        version = self._plane.version(call.model)
        number = version.desired.version
        return json_response(model_metadata(call.model.name, number, version.signature))

    async def models(self, call: Call) -> HttpResponse:
        """`GET /v1/models`."""
        return json_response({"models": list(filter(call.sees, self._plane.models()))})

    async def _predict_columns(self, call: Call, inputs: Any) -> HttpResponse:
        """The columnar form: whole inputs, answered with whole outputs."""
        try:
            signature = self._plane.asked(call.model).signature
            if call.request.is_large:
                tensors = await asyncio.to_thread(tensors_of_inputs, inputs, signature)
            else:
                tensors = tensors_of_inputs(inputs, signature)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        request = InferenceRequest(
            call.model,
            tensors,
            self._plane.deadline(call.timeout_s),
            refresh=call.refresh,
            priority=call.priority,
            header=call.request.header,
            prediction_id=call.request_id,
        )
        responses = await answer_rows(self._plane, request)
        answer = json_response({"outputs": outputs(responses)})
        answer.headers.extend(origin_of_parts(responses))
        return answer


def _version_status(number: int, reason: str | None) -> dict[str, object]:
    """TensorFlow Serving's entry of `GetModelStatusResponse`; one that failed to load is at its
    end.
    """
    state = "AVAILABLE" if reason is None else "LOADING" if reason == BEING_LOADED else "END"
    code = {"AVAILABLE": "OK", "LOADING": "OK", "END": "UNKNOWN"}[state]
    return {
        "version": str(number),
        "state": state,
        "status": {"error_code": code, "error_message": "" if code == "OK" else reason},
    }
