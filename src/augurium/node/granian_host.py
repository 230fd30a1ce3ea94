"""Granian carries REST: one worker inside this process's event loop, over the RSGI interface.

Processes that listen on the same port share its connections (SO_REUSEPORT).
"""

import asyncio
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from augurium.core.settings import LimitSettings
from augurium.node.departures import Departures
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi

BACKLOG = 2048


class RsgiApplication:
    """RSGI to the REST API: reads the body within its limit, answers, and gives up for callers that
    left.
    """

    def __init__(self, api: RestApi, limits: LimitSettings, departures: Departures) -> None:
        self._api = api
        self._max_body_bytes = limits.max_body_bytes
        self._departures = departures

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        task = self._departures.enter(protocol.client_disconnect)
        try:
            response = await self._answer(scope, protocol)
            protocol.response_bytes(response.status, response.headers, response.body)
        except asyncio.CancelledError:
            protocol.response_empty(499, [])
        finally:
            self._departures.leave(task)

    async def _answer(self, scope: Any, protocol: Any) -> HttpResponse:
        header = scope.headers.get
        if scope.method != "POST":
            return await self._api.handle(HttpRequest(scope.method, scope.path, header, b""))
        length = header("content-length")
        if length is not None and int(length) <= self._max_body_bytes:
            body = await protocol()
        else:
            body = await self._read_bounded(protocol)
        return await self._api.handle(HttpRequest("POST", scope.path, header, body))

    async def _read_bounded(self, protocol: Any) -> bytes | None:
        """A body of unknown or too large size; None when it is above the limit.

        As much again is read and thrown away, because most callers look for the answer only after
        they have sent everything.
        """
        body = bytearray()
        size = 0
        async for chunk in protocol:
            size += len(chunk)
            if size <= self._max_body_bytes:
                body += chunk
            else:
                body.clear()
            if size > 2 * self._max_body_bytes:
                break
        return bytes(body) if size <= self._max_body_bytes else None


class GranianHost:
    """Listens for REST requests on one address. Use as an async context manager."""

    def __init__(self, application: RsgiApplication, address: str, port: int) -> None:
        self._server = Server(
            application,
            address=address,
            port=port,
            interface=Interfaces.RSGI,
            http=HTTPModes.auto,
            http1_settings=HTTP1Settings(header_read_timeout=30_000),
            websockets=False,
            backlog=BACKLOG,
            backpressure=BACKLOG,
            log_level=LogLevels.warning,
            log_enabled=False,
        )
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "GranianHost":
        self._serving = asyncio.create_task(self._server.serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops listening; returns when the host has let go of its connections."""
        if self._serving is not None:
            self._server.stop()
            await self._serving
