"""The standard health service, grpc.health.v1 (gRPC Health Checking Protocol)."""

import asyncio
from collections.abc import AsyncGenerator

from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.errors import NotFound
from augurium.protocols.generated import health_pb2 as health
from augurium.protocols.grpc_methods import StreamCall, Streaming, Unary, parsed
from augurium.protocols.oip import GRPC_SERVICE
from augurium.serving.plane import DataPlane

SERVICE = "grpc.health.v1.Health"
SERVICES = ("", GRPC_SERVICE)
WATCH_INTERVAL_S = 0.5
_Response = health.HealthCheckResponse


class Health:
    """Says whether the data plane may be sent requests."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def methods(self) -> tuple[Unary | Streaming, ...]:
        """The methods of this service."""
        path = f"/{SERVICE}/"
        return (
            Unary(f"{path}Check", "ready", self._check),
            Unary(f"{path}List", "ready", self._list),
            Streaming(f"{path}Watch", "ready", self._watch),
        )

    async def _check(self, content: Buffer, _: float | None, __: Principal | None) -> bytes:
        service = parsed(health.HealthCheckRequest, content).service
        if service not in SERVICES:
            raise NotFound(
                f"service '{service[:128]}' is not known; expected '' or '{GRPC_SERVICE}'"
            )
        return self._response(service).SerializeToString()

    async def _list(self, _content: Buffer, _: float | None, __: Principal | None) -> bytes:
        statuses = {service: self._response(service) for service in SERVICES}
        return health.HealthListResponse(statuses=statuses).SerializeToString()

    async def _watch(self, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """The status now and whenever it changes, until the caller leaves."""
        async for content in call.messages:
            service = parsed(health.HealthCheckRequest, content).service
            last = None
            while True:
                found = self._response(service).SerializeToString()
                if found != last:
                    last = found
                    yield found
                await asyncio.sleep(WATCH_INTERVAL_S)

    def _response(self, service: str) -> _Response:
        if service not in SERVICES:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        return _Response(status=_Response.SERVING if self._plane.ready else _Response.NOT_SERVING)
