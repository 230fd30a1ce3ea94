"""Open Inference Protocol v2 over REST: inference, metadata and health."""

import asyncio

from augurium.core.errors import AuguriumError, NotReady
from augurium.core.identifiers import REQUEST_ID
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip, oip_json
from augurium.protocols.answer_headers import origin
from augurium.protocols.classification import classified
from augurium.protocols.http import HttpResponse, json_response
from augurium.protocols.routing import Call, Route
from augurium.protocols.written_answers import written_answer
from augurium.serving.plane import DataPlane


class OipRest:
    """The handlers of `/v2`; each takes a call that was routed to it."""

    def __init__(self, plane: DataPlane, max_json_depth: int) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol."""
        model = "/v2/models/{model}"
        return (
            Route("GET", "/v2", "server", self.server),
            Route("GET", "/v2/health/live", "live", self.live),
            Route("GET", "/v2/health/ready", "ready", self.ready),
            Route("GET", "/v2/models", "models", self.models),
            Route("GET", model, "metadata", self.metadata),
            Route("GET", f"{model}/ready", "model_ready", self.model_ready),
            Route("POST", f"{model}/infer", "infer", self.infer),
        )

    async def infer(self, call: Call) -> HttpResponse:
        """`POST /v2/models/M[/versions/V]/infer`."""
        written = written_answer(self._plane, call, oip_json.HEADER_LENGTH)
        if written is not None and (known := written.find()) is not None:
            return known
        timeout_s, priority = call.timeout_s, call.priority
        try:
            # binary tensors are views: reading them takes no time
            if call.request.is_large and call.request.header(oip_json.HEADER_LENGTH) is None:
                wire = await asyncio.to_thread(self._decoded, call)
            else:
                wire = self._decoded(call)
            counts = wire.class_counts() if wire.body.outputs else {}
            oip.check_classes(self._plane, call.model, counts)
            if wire.body.parameters:
                timeout_s = oip.shorter_timeout_s(timeout_s, wire.body.parameters)
                priority = oip.priority_in(wire.body.parameters, priority)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        deadline, header = self._plane.deadline(timeout_s), call.request.header
        request = wire.request(call.model, deadline, call.refresh, priority, header)
        if not request.id or header(REQUEST_ID) is not None:
            request.prediction_id = call.request_id
        response = await oip.infer(self._plane, request)
        if counts:
            response = classified(response, counts)
        answer = oip_json.encode(response, wire.binary_outputs(response))
        answer.headers.extend(origin(response))
        if written is not None:
            written.keep(answer, response)
        return answer

    def _decoded(self, call: Call) -> oip_json.WireRequest:
        body, length = call.request.body or b"", call.request.header(oip_json.HEADER_LENGTH)
        if oip_json.is_raw(length):
            signature = self._plane.asked(call.model).signature
            return oip_json.decode_raw(body, call.model.name, signature)
        return oip_json.decode(body, length, self._max_json_depth)

    async def metadata(self, call: Call) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]`."""
        found = oip.model_metadata(self._plane, call.model)
        return json_response(
            {
                "name": found.name,
                "versions": found.versions,
                "platform": found.platform,
                "inputs": [_tensor(spec) for spec in found.inputs],
                "outputs": [_tensor(spec) for spec in found.outputs],
            }
        )

    async def model_ready(self, call: Call) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]/ready`."""
        self._plane.version(call.model)
        return json_response({"name": call.model.name, "ready": True})

    async def models(self, call: Call) -> HttpResponse:
        """`GET /v2/models`."""
        return json_response({"models": list(filter(call.sees, self._plane.models()))})

    async def server(self, _call: Call) -> HttpResponse:
        """`GET /v2`."""
        return json_response(
            {"name": oip.SERVER_NAME, "version": oip.server_version(), "extensions": oip.EXTENSIONS}
        )

    async def live(self, _call: Call) -> HttpResponse:
        """`GET /v2/health/live`."""
        return json_response({"live": True})

    async def ready(self, _call: Call) -> HttpResponse:
        """`GET /v2/health/ready`."""
        if not self._plane.ready:
            raise NotReady("this engine is starting or stopping")
        return json_response({"ready": True})


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
