"""The control process: takes its port, serves the API and the engine link, ends on a signal."""

import asyncio
import math
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from augurium.core.errors import AuguriumError
from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.core.tls import server_tls

OK = 0
CANNOT_START = 1
BAD_CONFIGURATION = 2
PORT_TAKEN = 3
log = structlog.get_logger()


def main(arguments: Sequence[str]) -> int:
    """Runs until told to stop; `arguments` are the configuration file, maybe a lifeline, and maybe
    that of batch jobs, which outlive this process.

    Returns 0, 1 when it cannot start, 2 for a bad configuration, 3 when its port is taken; one line
    on standard error says why.
    """
    try:
        config = read_config(Path(arguments[0]))
        lifeline, jobs_lifeline = _lifelines(arguments[1:])
    except (IndexError, ValueError, OSError, msgspec.MsgspecError) as error:
        return _fail(BAD_CONFIGURATION, f"the configuration file cannot be read: {error}")
    configure_logging(config.settings.log, "control")
    node = config.settings.node
    try:
        listener = _listen(node.host, node.control_port)
    except OSError as error:
        reason = error.strerror or str(error)
        return _fail(PORT_TAKEN, f"{node.host} port {node.control_port} cannot be used: {reason}")
    try:
        _run(config, listener, lifeline, jobs_lifeline)
    except AuguriumError as error:
        return _fail(CANNOT_START, str(error))
    return OK


def _lifelines(arguments: Sequence[str]) -> tuple[int, int]:
    """Raises ValueError for what is no descriptor."""
    own, jobs, *_ = (*map(int, arguments), NO_LIFELINE, NO_LIFELINE)
    return own, jobs


def _run(config: NodeConfig, listener: socket.socket, lifeline: int, jobs_lifeline: int) -> None:
    # what is heavy comes after the port is ours, so that a taken port is told at once
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, listener, lifeline, jobs_lifeline))


async def _serve(
    config: NodeConfig, listener: socket.socket, lifeline: int, jobs_lifeline: int
) -> None:
    from augurium.control.app import create_app
    from augurium.control.assembly import assembled
    from augurium.control.http_server import http_server, keep_certificate
    from augurium.control.supervisor_desk import SupervisorDesk

    stop = await stop_requested(lifeline)
    node, tls = config.settings.node, server_tls(config.settings.tls)
    async with assembled(config, jobs_lifeline) as services, asyncio.TaskGroup() as tasks:
        server = http_server(create_app(services), math.ceil(node.drain_timeout_s), tls)
        tasks.create_task(server.serve([listener]))
        keeper = tasks.create_task(keep_certificate(tls))
        desk = await SupervisorDesk(services, server).open(config.home.supervisor_socket)
        log.info("up", port=node.control_port)
        await stop.wait()
        services.deployments.stop()
        services.rollouts.feed.stop()
        services.batch.progress.stop()
        # /ready says no from here on; whoever watches it gets the time to see that
        await asyncio.sleep(node.drain_delay_s)
        server.should_exit = True
        desk.close()
        keeper.cancel()
    log.info("stopped")


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family)


def _fail(code: int, reason: str) -> int:
    sys.stderr.write(f"augurium control: {reason}\n")
    return code
