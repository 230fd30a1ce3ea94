"""What batch jobs need of control, put together."""

import socket

from augurium.control.batch_dispatcher import BatchDispatcher
from augurium.control.batch_jobs import BatchJobs
from augurium.control.batch_processes import JobProcesses, job_command
from augurium.control.batch_submission import CheckProcess, SubmissionCheck
from augurium.core.clock import Clock
from augurium.core.home import NodeConfig
from augurium.core.stopping import NO_LIFELINE
from augurium.registry.batch_store import BatchStore
from augurium.registry.registry import Registry


def batch_jobs(
    config: NodeConfig,
    registry: Registry,
    store: BatchStore,
    clock: Clock,
    lifeline: int = NO_LIFELINE,
    check: SubmissionCheck | None = None,
) -> BatchJobs:
    """The batch jobs of this node. Who holds them is known by its machine and its port, which are
    the same after a restart.
    """
    settings = config.settings
    holder = f"{socket.gethostname()}:{settings.node.control_port}"
    processes = JobProcesses(job_command(config.home.path), lifeline)
    dispatcher = BatchDispatcher(store, processes, settings.batch, clock, holder)
    asked = check or CheckProcess(settings.batch.check_timeout_s)
    return BatchJobs(store, registry, dispatcher, asked, config)
