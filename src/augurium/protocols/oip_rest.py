"""Open Inference Protocol v2 over REST: inference, metadata and health."""

from collections.abc import Callable

from augurium.core.errors import AuguriumError, NotReady
from augurium.core.identifiers import ModelRef
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip, oip_json
from augurium.protocols.http import HttpRequest, HttpResponse, json_response
from augurium.serving.plane import DataPlane


class OipRest:
    """The handlers of `/v2`; each takes a request that was routed to it."""

    def __init__(self, plane: DataPlane, max_json_depth: int) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth

    async def infer(
        self, request: HttpRequest, model: ModelRef, timeout_s: float | None
    ) -> HttpResponse:
        """`POST /v2/models/M[/versions/V]/infer`."""
        try:
            wire = oip_json.decode(
                request.body or b"", request.header(oip_json.HEADER_LENGTH), self._max_json_depth
            )
            if timeout_s is None and wire.body.parameters:
                timeout_s = oip.timeout_s(wire.body.parameters)
        except AuguriumError as error:
            self._plane.count_unrouted(error.kind)
            raise
        response = await oip.infer(
            self._plane, wire.request(model, self._plane.deadline(timeout_s))
        )
        answer = oip_json.encode(response, wire.binary_outputs(response))
        answer.headers.append(("augurium-version", str(response.version)))
        return answer

    async def metadata(self, _request: HttpRequest, model: ModelRef) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]`."""
        found = oip.model_metadata(self._plane, model)
        return json_response(
            {
                "name": found.name,
                "versions": found.versions,
                "platform": found.platform,
                "inputs": [_tensor(spec) for spec in found.inputs],
                "outputs": [_tensor(spec) for spec in found.outputs],
            }
        )

    async def model_ready(self, _request: HttpRequest, model: ModelRef) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]/ready`."""
        self._plane.version(model)
        return json_response({"name": model.name, "ready": True})

    async def models(self, _request: HttpRequest, sees: Callable[[str], bool]) -> HttpResponse:
        """`GET /v2/models`."""
        return json_response({"models": list(filter(sees, self._plane.models()))})

    async def server(self, _request: HttpRequest) -> HttpResponse:
        """`GET /v2`."""
        return json_response(
            {"name": oip.SERVER_NAME, "version": oip.server_version(), "extensions": oip.EXTENSIONS}
        )

    async def live(self, _request: HttpRequest) -> HttpResponse:
        """`GET /v2/health/live`."""
        return json_response({"live": True})

    async def ready(self, _request: HttpRequest) -> HttpResponse:
        """`GET /v2/health/ready`."""
        if not self._plane.ready:
            raise NotReady("this engine is starting or stopping")
        return json_response({"ready": True})


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
