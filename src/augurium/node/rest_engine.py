"""A REST engine process: `python -m augurium.node.rest_engine CONFIG SLOT [LIFELINE]`."""

import sys
from pathlib import Path

import uvloop

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import stop_requested
from augurium.node.http_host import HttpHost
from augurium.protocols.rest import RestApi
from augurium.serving.app import Engine


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    node, limits = config.settings.node, config.settings.limits
    engine = Engine(config, slot, "httptools")
    api = RestApi(engine.plane, limits)
    async with HttpHost(api.handle, limits, node.host, node.port):
        engine.start()
        await stop.wait()
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await engine.stop()


def main(arguments: list[str]) -> int:
    """The process's entry point."""
    config = read_config(Path(arguments[0]))
    slot = arguments[1]
    configure_logging(config.settings.log, slot)
    uvloop.run(run(config, slot, int(arguments[2]) if len(arguments) > 2 else -1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
