"""An engine process: one data plane behind REST and gRPC.

An engine that starts while others answer on its ports, because it was restarted or is the slower
one, joins them when it has loaded: nobody is sent to an engine that is not ready. The only one
listens at once, so that probes are answered while it loads.

`python -m augurium.node.engine CONFIG SLOT [LIFELINE]`
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import uvloop

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.core.tls import server_tls
from augurium.node.body_budget import BodyBudget
from augurium.node.connection_host import LEAVE, SHARE_OUT, ConnectionHost
from augurium.node.grpc_host import GrpcHost
from augurium.node.http_host import HttpHost
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.rest import RestApi
from augurium.serving.app import Engine

PROBE_TIMEOUT_S = 1.0


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    hosts: list[ConnectionHost[Any]] = []
    node, leave_s = config.settings.node, config.settings.scaling.leave_s
    # before control knows of this process, for then the supervisor may send signals
    _share_out_on_signal(hosts)
    leave, stop = _leave_on_signal(), await stop_requested(lifeline)
    engine = Engine(config, slot)
    bodies = BodyBudget(config.settings.limits.max_bytes_in_flight)
    joining = await _others_answer(node.host, node.port)
    # before it listens: who is told that there is no such model believes it
    engine.load()
    if joining:
        engine.connect()
        await _either(engine.plane.loaded, stop, leave)
        if stop.is_set() or leave.is_set():
            # it never listened, and need not begin
            await engine.stop()
            return
    async with _rest(config, engine, bodies) as rest, _grpc(config, engine, bodies) as grpc:
        hosts += (rest, grpc)
        if not joining:
            # who is told that the node is ready must be able to reach it
            engine.connect()
        await _either(stop, leave)
        # who asks again meanwhile is told to do that elsewhere, so that nobody is cut off later
        rest.turn_away()
        grpc.turn_away()
        await engine.drain(node.drain_delay_s, node.drain_timeout_s)
        # both, before one of them waits for its last callers
        rest.leave()
        grpc.leave()
        if leave.is_set():
            await _until_all_have_left(hosts, stop, leave_s)
    await engine.stop()


async def _until_all_have_left(
    hosts: Iterable[ConnectionHost[Any]], stop: asyncio.Event, patience_s: float
) -> None:
    """Returns when no connection is left, after `patience_s`, or when there is no more time."""
    emptied = asyncio.gather(*(host.emptied() for host in hosts))
    waits: list[asyncio.Future[Any]] = [emptied, asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _leave_on_signal() -> asyncio.Event:
    """Set when the supervisor asks this engine to go without haste: others take over."""
    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(LEAVE, leave.set)
    return leave


def _share_out_on_signal(hosts: Iterable[ConnectionHost[Any]]) -> None:
    """Connections are shared out anew when the supervisor says that there are more engines."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def share_out() -> None:
        for host in hosts:
            task = loop.create_task(host.share_out())
            running.add(task)
            task.add_done_callback(running.discard)

    loop.add_signal_handler(SHARE_OUT, share_out)


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
