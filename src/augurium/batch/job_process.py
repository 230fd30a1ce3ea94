"""The process of one job, from its claim until it has ended or this process has to stop."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from augurium.batch.left_out import PANDAS, leave_out_packages
from augurium.batch.own_processors import keep_apart
from augurium.batch.worker_pool import WorkerPool
from augurium.batch.worker_start import WorkerStart
from augurium.core import processors
from augurium.core.errors import AuguriumError
from augurium.core.home import Home, NodeConfig, read_config
from augurium.core.logs import configure_logging
from augurium.core.stopping import NO_LIFELINE, stop_requested

OK, FAILED, BAD_CALL = 0, 1, 2
# workers that are started before it is known how many there is work for
MOST_EARLY = 4
log = structlog.get_logger()


def main(arguments: Sequence[str]) -> int:
    """Runs a claimed job. Returns 0 when the store knows what became of it, 1 when the store cannot
    be told, 2 for arguments that make no sense.
    """
    options = _options(arguments)
    try:
        config = read_config(Home(options.home).config)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"augurium batch: the node's configuration: {error}", file=sys.stderr)  # noqa: T201
        return BAD_CALL
    # a job that stands still when control dies is hung up, see setpgid(2) on orphaned groups
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configure_logging(config.settings.log, f"batch-{options.job[:8]}")
    leave_out_packages(*PANDAS)
    try:
        asyncio.run(_run(config, options))
    except AuguriumError as error:
        log.error("batch job left", job=options.job, reason=str(error))
        return FAILED
    return OK


class _Options(argparse.Namespace):
    home: Path
    job: str
    token: int
    lifeline: int


def _options(arguments: Sequence[str]) -> _Options:
    parser = argparse.ArgumentParser("python -m augurium.batch", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the folder of the node")
    parser.add_argument("--job", required=True, help="the id of the job")
    parser.add_argument("--token", type=int, required=True, help="of the claim")
    parser.add_argument(
        "--lifeline", type=int, default=NO_LIFELINE, help="a pipe that is closed to stop this"
    )
    return parser.parse_args(arguments, _Options())


async def _run(config: NodeConfig, options: _Options) -> None:
    stop = await stop_requested(options.lifeline)
    settings = config.settings.batch
    kept_apart = asyncio.create_task(keep_apart(config.home)) if settings.keeps_apart else None
    pool = WorkerPool(WorkerStart(settings.scheduling, run_timeout_s=settings.run_timeout_s))
    try:
        # they load what every job needs while this process does
        await pool.resize(min(settings.workers or len(processors.USABLE), MOST_EARLY))
        from augurium.batch.job_run import run_job

        await run_job(config, options.job, options.token, pool, stop)
    finally:
        if kept_apart is not None:
            kept_apart.cancel()
        await pool.close()
