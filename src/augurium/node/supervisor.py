"""The supervisor: starts the processes of a node, keeps them running, and stops them with grace."""

import asyncio
import functools
import os
import signal
import sys
import time

import msgspec
import structlog

from augurium import __version__
from augurium.control.supervision import Report
from augurium.core import processors
from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError, NotReady
from augurium.core.files import write_atomically
from augurium.core.home import NodeConfig
from augurium.core.logs import configure_logging
from augurium.core.settings import Settings
from augurium.node.admittance import check_anyone_may_call
from augurium.node.autoscaler import Autoscaler
from augurium.node.child import Child
from augurium.node.commands import Commands
from augurium.node.control_window import ControlWindow
from augurium.node.engine_fleet import EngineFleet
from augurium.node.preflight import check_storage, locked_home, resolve
from augurium.node.processor_split import ProcessorSplit
from augurium.scaling.node_policy import node_policy
from augurium.serving.runner_place import sweep
from augurium.serving.runner_suspects import forget_suspects

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_AGAIN = 130
READY_POLL_S = 0.05
STILL_WAITING_S = 10.0
RUNNERS_END_S = 2.0

log = structlog.get_logger()


def serve(settings: Settings) -> int:
    """Runs a node in the foreground until SIGTERM or SIGINT; returns the exit code."""
    configure_logging(settings.log, "node")
    try:
        config = resolve(settings)
        with locked_home(config.home):
            forget_suspects(config.home.run)
            check_storage(config)
            check_anyone_may_call(config)
            config.home.ledger.unlink(missing_ok=True)
            write_atomically(config.home.config, msgspec.json.encode(config))
            return asyncio.run(Supervisor(config).run())
    except AuguriumError as error:
        print(f"augurium: {error}", file=sys.stderr)  # noqa: T201 - the command's answer to its user
        return EXIT_REFUSED


class Supervisor:
    """Holds the processes of one node."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        grace_s = config.settings.node.drain_delay_s + config.settings.node.drain_timeout_s
        self._jobs_lifeline, self._hold_on_jobs = os.pipe()
        commands = Commands(config, self._jobs_lifeline)
        self._control = Child("control", commands.control, grace_s)
        self._engines = EngineFleet(
            config, lambda slot: Child(slot, functools.partial(commands.engine, slot), grace_s)
        )
        self._processors = ProcessorSplit(config.home, lambda: self._engines.processes.values())
        self._window = ControlWindow(config.home.supervisor_socket)

    async def run(self) -> int:
        """Starts everything, says when it is ready, and stops everything when told to."""
        started = time.monotonic()
        # all processes of the node may write to a terminal that stops who does so in the background
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        stop = asyncio.Event()
        self._listen_for_signals(stop)
        control = asyncio.create_task(self._control.run())
        self._engines.start()
        attending = [asyncio.create_task(self._attend(started))]
        if processors.CAN_BE_CHOSEN and self._config.settings.batch.keeps_apart:
            attending.append(asyncio.create_task(self._processors.run()))
        await stop.wait()
        for task in attending:
            task.cancel()
        # batch jobs write down how far they are, while the others finish
        os.close(self._hold_on_jobs)
        # engines first: they answer what they accepted; control stays to take their last counters
        await self._engines.stop()
        await self._control.stop(control)
        os.close(self._jobs_lifeline)
        await self._sweep_runners()
        return EXIT_OK

    async def _sweep_runners(self) -> None:
        """Runners end when the last engine has left, which may have been sooner gone than they."""
        give_up_at = time.monotonic() + RUNNERS_END_S
        # they are processes of others: nobody tells when they end
        while sweep(self._config.home.run) and time.monotonic() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(READY_POLL_S)

    async def _attend(self, started: float) -> None:
        """Announces the node, and goes on scaling it where that is wanted."""
        await self._announce(started)
        scaling = self._config.settings.scaling
        if scaling.enabled:
            policy = node_policy(scaling)
            scaler = Autoscaler(self._engines, self._window, policy, SystemClock())
            await scaler.run(scaling.interval_s)

    def _listen_for_signals(self, stop: asyncio.Event) -> None:
        def requested() -> None:
            if stop.is_set():
                self._control.kill()
                self._engines.kill()
                os._exit(EXIT_AGAIN)
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, requested)

    async def _announce(self, started: float) -> None:
        """Prints one line when every engine has loaded what is deployed."""
        next_word = started + STILL_WAITING_S
        while waiting_for := await self._waiting_for():
            if time.monotonic() > next_word:
                next_word += STILL_WAITING_S
                log.warning("not ready yet", waiting_for=waiting_for)
            await asyncio.sleep(READY_POLL_S)
        node, scheme = self._config.settings.node, self._config.settings.url_scheme
        print(  # noqa: T201 - the command's answer to its user
            f"augurium {__version__} is ready after {time.monotonic() - started:.1f} s:"
            f" REST {scheme}://{node.url_host}:{node.port}, gRPC {node.url_host}:{node.grpc_port},"
            f" management {scheme}://{node.url_host}:{node.control_port}"
            f" ({_who_may_call(self._config.settings)})",
            flush=True,
        )

    async def _waiting_for(self) -> list[str]:
        """What is not ready, as control sees it; empty when everything is."""
        try:
            standing = await self._window.tell(Report(self._engines.states))
        except NotReady:
            return ["control"]
        return standing.waiting_for


def _who_may_call(settings: Settings) -> str:
    return "keys required" if settings.access.required else "this machine only, works without keys"
