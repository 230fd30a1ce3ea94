"""The desk of the supervisor: takes its reports and tells it how the node stands."""

import asyncio
from pathlib import Path

import msgspec
import structlog
import uvicorn

from augurium.control.readiness import waiting_for
from augurium.control.services import Services
from augurium.control.supervision import MOST_BYTES, Report, Standing

REPORT_TIMEOUT_S = 5.0
log = structlog.get_logger()


class SupervisorDesk:
    """Answers on a Unix socket, which only the owner of the node's folder reaches."""

    def __init__(self, services: Services, server: uvicorn.Server) -> None:
        self._services = services
        self._server = server

    async def open(self, socket: Path) -> asyncio.Server:
        """Listens; what an earlier run left there is replaced."""
        return await asyncio.start_unix_server(self._answer, socket)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                report = msgspec.json.decode(await _whole(reader), type=Report)
            self._services.engines.take(report)
            writer.write(msgspec.json.encode(self._standing()))
            await writer.drain()
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("report of the supervisor not taken", reason=str(error) or "too slow")
        finally:
            writer.close()

    def _standing(self) -> Standing:
        services = self._services
        reasons = waiting_for(
            services.engines.expected, services.hub, services.deployments.stopping
        )
        if not self._server.started:
            reasons.append("the management API has not started")
        return Standing(
            waiting_for=reasons,
            engines=services.engines.readings(),
            decisions_known=services.engines.decisions_known,
        )


async def _whole(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while block := await reader.read(65536):
        content += block
        if len(content) > MOST_BYTES:
            raise msgspec.ValidationError(f"more than {MOST_BYTES} bytes")
    return bytes(content)
