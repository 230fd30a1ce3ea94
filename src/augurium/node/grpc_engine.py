"""A gRPC engine inside Envoy: the module that Envoy imports for its application `app`.

Which slot of which node this is comes by `AUGURIUM_ENGINE`, set by the supervisor.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import hold_lifeline
from augurium.node.departures import Departures
from augurium.node.engine_start import ENGINE_VARIABLE, EngineStart
from augurium.node.envoy import drain_envoy, quit_envoy
from augurium.node.envoy_app import GrpcOverAsgi, Receive, Send
from augurium.node.envoy_tls import keep_certificate
from augurium.protocols.oip_grpc import GrpcApi
from augurium.serving.app import Engine


class EnvoyEngine:
    """ASGI application with a lifespan: the engine starts and stops with Envoy."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._calls: GrpcOverAsgi | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self._calls is not None and scope["type"] == "http":
            await self._calls(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self._start(msgspec.json.decode(os.environ[ENGINE_VARIABLE], type=EngineStart))
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                for task in self._tasks:
                    task.cancel()
                if self._engine is not None:
                    await self._engine.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self, start: EngineStart) -> None:
        config = read_config(Path(start.config))
        configure_logging(config.settings.log, start.slot)
        engine = Engine(config, start.slot, "envoy")
        engine.start()
        departures = Departures()
        api = GrpcApi(engine.plane, engine.gateway)
        self._engine = engine
        self._calls = GrpcOverAsgi(api, config.settings.limits.max_body_bytes, departures)
        self._tasks = [
            asyncio.create_task(departures.watch()),
            asyncio.create_task(_stop_with_supervisor(engine, config, start)),
        ]
        tls = config.settings.tls
        if tls.enabled:
            keeping = keep_certificate(tls, config.home.envoy_tls)
            self._tasks.append(asyncio.create_task(keeping))


async def _stop_with_supervisor(engine: Engine, config: NodeConfig, start: EngineStart) -> None:
    """Drains and ends this process when the supervisor says so, or is gone."""
    ended = asyncio.Event()
    await hold_lifeline(start.lifeline, ended)
    await ended.wait()
    node = config.settings.node
    admin_socket = Path(start.admin_socket)
    await drain_envoy(admin_socket)
    await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await quit_envoy(admin_socket)


app = EnvoyEngine()
