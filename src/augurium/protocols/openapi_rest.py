"""What describes the data plane to programs: OpenAPI documents and the protobuf file."""

import asyncio
from collections.abc import Callable, Sequence

from augurium.protocols.http import HttpResponse, json_response
from augurium.protocols.mlflow_errors import TEXT_TYPE
from augurium.protocols.openapi_document import model_document, node_document
from augurium.protocols.proto_file import proto_text
from augurium.protocols.routing import Call, Route
from augurium.serving.plane import DataPlane


class OpenApiRest:
    """The handlers of the descriptions; `all_routes` gives those that are described, `secured` is a
    node that asks who calls. A document is made when it is asked for, on a thread.
    """

    def __init__(
        self, plane: DataPlane, all_routes: Callable[[], Sequence[Route]], secured: bool
    ) -> None:
        self._plane = plane
        self._all_routes = all_routes
        self._secured = secured

    def routes(self) -> tuple[Route, ...]:
        """The paths of the descriptions."""
        return (
            Route("GET", "/openapi.json", "server", self.node),
            Route("GET", "/v2/models/{model}/openapi.json", "metadata", self.model),
            Route("GET", "/v2/inference.proto", "server", self.proto),
        )

    async def node(self, _call: Call) -> HttpResponse:
        """`GET /openapi.json`: every path."""
        found = await asyncio.to_thread(node_document, self._all_routes(), self._secured)
        return json_response(found)

    async def model(self, call: Call) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]/openapi.json`: the paths of one model, at the version that
        answers now.
        """
        desired = self._plane.version(call.model).desired
        found = await asyncio.to_thread(
            model_document, self._all_routes(), call.model, desired, self._secured
        )
        return json_response(found)

    async def proto(self, _call: Call) -> HttpResponse:
        """`GET /v2/inference.proto`."""
        return HttpResponse(200, [TEXT_TYPE], proto_text().encode())
