"""A gRPC engine process: `python -m augurium.node.grpc_engine CONFIG SLOT [LIFELINE]`."""

import sys

from augurium.core.home import NodeConfig
from augurium.core.stopping import stop_requested
from augurium.core.tls import server_tls
from augurium.node.engine_process import run_engine
from augurium.node.grpc_host import GrpcHost
from augurium.protocols.grpc_api import GrpcApi
from augurium.serving.app import Engine


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    node, limits = config.settings.node, config.settings.limits
    engine = Engine(config, slot, "http2")
    api = GrpcApi(engine.plane, engine.gateway, engine.control)
    tls = server_tls(config.settings.tls, "h2")
    async with GrpcHost(api, limits, node.host, node.grpc_port, tls):
        engine.start()
        await stop.wait()
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await engine.stop()


if __name__ == "__main__":
    sys.exit(run_engine(sys.argv[1:], run))
