"""What the engine processes that Python starts have in common: arguments, logs and event loop."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from augurium.core.home import NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE

Serve = Callable[[NodeConfig, str, int], Awaitable[None]]


def run_engine(arguments: list[str], serve: Serve) -> int:
    """Runs `serve(config, slot, lifeline)` with `arguments` CONFIG SLOT [LIFELINE]."""
    config = read_config(Path(arguments[0]))
    slot = arguments[1]
    configure_logging(config.settings.log, slot)
    lifeline = int(arguments[2]) if len(arguments) > 2 else NO_LIFELINE

    async def engine() -> None:
        await serve(config, slot, lifeline)

    uvloop.run(engine())
    return 0
