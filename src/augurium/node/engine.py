"""An engine process: one data plane behind REST and gRPC.

An engine that starts while others answer on its ports, because it was restarted or is the slower
one, joins them when it has loaded: nobody is sent to an engine that is not ready. The only one
listens at once, so that probes are answered while it loads.

`python -m augurium.node.engine CONFIG SLOT [LIFELINE]`
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.core.tls import server_tls
from augurium.node.body_budget import BodyBudget
from augurium.node.grpc_host import GrpcHost
from augurium.node.http_host import HttpHost
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.rest import RestApi
from augurium.serving.app import Engine

PROBE_TIMEOUT_S = 1.0


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    node = config.settings.node
    engine = Engine(config, slot)
    bodies = BodyBudget(config.settings.limits.max_bytes_in_flight)
    joining = await _others_answer(node.host, node.port)
    if joining:
        engine.start()
        await _either(engine.loaded, stop)
    async with _rest(config, engine, bodies) as rest, _grpc(config, engine, bodies) as grpc:
        if not joining:
            engine.start()
        await stop.wait()
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
        # both, before one of them waits for its last callers
        rest.leave()
        grpc.leave()
    await engine.stop()


async def _others_answer(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _either(*events: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _rest(config: NodeConfig, engine: Engine, bodies: BodyBudget) -> HttpHost:
    node, limits = config.settings.node, config.settings.limits
    api = RestApi(engine.plane, limits, engine.gateway, engine.control, node.default_model)
    tls = server_tls(config.settings.tls)
    knows = engine.gateway.knows if engine.gateway else None
    return HttpHost(api.handle, limits, node.host, node.port, tls, knows, bodies)


def _grpc(config: NodeConfig, engine: Engine, bodies: BodyBudget) -> GrpcHost:
    node, limits = config.settings.node, config.settings.limits
    api = GrpcApi(engine.plane, engine.gateway, engine.control)
    tls = server_tls(config.settings.tls, "h2")
    return GrpcHost(api, limits, node.host, node.grpc_port, tls, bodies)


def main(config_file: str, slot: str, lifeline: str = str(NO_LIFELINE)) -> None:
    """Runs the engine of a slot."""
    config = read_config(Path(config_file))
    configure_logging(config.settings.log, slot)
    uvloop.run(run(config, slot, int(lifeline)))


if __name__ == "__main__":
    main(*sys.argv[1:])
