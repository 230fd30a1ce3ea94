"""An engine process: one data plane behind REST and gRPC.

`python -m augurium.node.engine CONFIG SLOT [LIFELINE]`
"""

import sys
from pathlib import Path

import uvloop

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.core.tls import server_tls
from augurium.node.grpc_host import GrpcHost
from augurium.node.http_host import HttpHost
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.rest import RestApi
from augurium.serving.app import Engine


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    engine = Engine(config, slot)
    async with _rest(config, engine) as rest, _grpc(config, engine) as grpc:
        engine.start()
        await stop.wait()
        node = config.settings.node
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
        # both, before one of them waits for its last callers
        rest.leave()
        grpc.leave()
    await engine.stop()


def _rest(config: NodeConfig, engine: Engine) -> HttpHost:
    node, limits = config.settings.node, config.settings.limits
    api = RestApi(engine.plane, limits, engine.gateway, engine.control, node.default_model)
    tls = server_tls(config.settings.tls)
    knows = engine.gateway.knows if engine.gateway else None
    return HttpHost(api.handle, limits, node.host, node.port, tls, knows)


def _grpc(config: NodeConfig, engine: Engine) -> GrpcHost:
    node, limits = config.settings.node, config.settings.limits
    api = GrpcApi(engine.plane, engine.gateway, engine.control)
    tls = server_tls(config.settings.tls, "h2")
    return GrpcHost(api, limits, node.host, node.grpc_port, tls)


def main(config_file: str, slot: str, lifeline: str = str(NO_LIFELINE)) -> None:
    """Runs the engine of a slot."""
    config = read_config(Path(config_file))
    configure_logging(config.settings.log, slot)
    uvloop.run(run(config, slot, int(lifeline)))


if __name__ == "__main__":
    main(*sys.argv[1:])
