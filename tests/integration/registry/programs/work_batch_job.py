"""Claims the batch job there is and commits its partitions until all are, telling each one.

Arguments: the URL of the database, and a name for the holder.
"""

import sys

from augurium.core.clock import SystemClock
from augurium.registry.batch_records import JobPlan
from augurium.registry.batch_store import BatchStore, LeaseLost
from augurium.registry.database import open_database
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.sql_batch_jobs import SqlBatchJobs

PLAN = JobPlan(content=b"plan", partitions=300)


def work(store: BatchStore, job: str, token: int) -> None:
    """Commits what is left, one after the other."""
    store.plan(job, token, PLAN)
    for number in sorted(set(range(PLAN.partitions)) - store.committed(job)):
        if store.commit(job, token, number, f"{number} by {token}".encode()):
            sys.stdout.write(f"{number} {token}\n")
            sys.stdout.flush()


def main(url: str, holder: str) -> None:
    clock = SystemClock()
    store, watch = SqlBatchJobs(open_database(url), clock), LeaseWatch(clock)
    (known,) = store.find()
    while len(store.committed(known.id)) < PLAN.partitions:
        # so short that a holder loses its lease in the middle of its work
        claimed = store.claim(holder, watch, 9, 0.02)
        try:
            if claimed is not None:
                work(store, claimed.id, claimed.token)
        except LeaseLost:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
