"""A REST engine process: `python -m augurium.node.rest_engine CONFIG SLOT [LIFELINE]`."""

import sys

from augurium.core.home import NodeConfig
from augurium.core.stopping import stop_requested
from augurium.core.tls import server_tls
from augurium.node.engine_process import run_engine
from augurium.node.http_host import HttpHost
from augurium.protocols.rest import RestApi
from augurium.serving.app import Engine


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    node, limits = config.settings.node, config.settings.limits
    engine = Engine(config, slot, "httptools")
    api = RestApi(engine.plane, limits, engine.gateway, engine.control, node.default_model)
    tls = server_tls(config.settings.tls)
    knows = engine.gateway.knows if engine.gateway else None
    async with HttpHost(api.handle, limits, node.host, node.port, tls, knows):
        engine.start()
        await stop.wait()
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await engine.stop()


if __name__ == "__main__":
    sys.exit(run_engine(sys.argv[1:], run))
