"""What schedules of batch jobs need of control, put together."""

from augurium.control.batch_arrivals import BatchArrivals, Places
from augurium.control.batch_jobs import BatchJobs
from augurium.control.batch_runs import BatchRuns
from augurium.control.batch_schedules import BatchSchedules
from augurium.control.webhooks import Webhooks
from augurium.core.clock import Clock
from augurium.core.home import NodeConfig
from augurium.registry.batch_schedule_store import BatchScheduleStore


def batch_schedules(
    config: NodeConfig,
    store: BatchScheduleStore,
    jobs: BatchJobs,
    webhooks: Webhooks,
    clock: Clock,
) -> BatchSchedules:
    """The schedules of this node, whose jobs `jobs` takes; `webhooks` are told how they end."""
    runs = BatchRuns(store, jobs, clock)
    arrivals = BatchArrivals(store, _places(config, jobs), clock)
    return BatchSchedules(store, runs, arrivals, webhooks.offer, clock)


def _places(config: NodeConfig, jobs: BatchJobs) -> Places:
    from augurium.batch.arrival_places import ArrivalPlaces
    from augurium.batch.storage import Storage

    storage = config.settings.storage
    return ArrivalPlaces(lambda: Storage(storage, roots=jobs.roots()))
