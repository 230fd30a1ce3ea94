"""A process that runs a batch job as the real one does, without rows: it plans, commits and ends as
the labels of its job say. `python -m tests.support.batch_child --home DIR --job ID --token N
--lifeline FD`; `home` is the folder with a SQLite registry.
"""

import argparse
import os
import signal
import time
from pathlib import Path

from augurium.core.clock import SystemClock
from augurium.core.stopping import let_go
from augurium.registry.batch_records import BatchProgress, JobPlan
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.sql_batch_jobs import SqlBatchJobs

PARTITION_ROWS = 100
LOOK_S = 0.02


def run(store: SqlBatchJobs, job: str, token: int, lifeline: int) -> None:
    """The labels: `partitions`, `dies_after` so many commits in one life, `waits_for` a file before
    each further one, `notes` a file that gets a line for each life and each partition.
    """
    known = store.get(job)
    labels = known.spec.labels
    note(labels, f"life {os.getpid()}")
    count = int(labels.get("partitions", "1"))
    store.plan(job, token, JobPlan(content=b"plan", partitions=count, rows=count * PARTITION_ROWS))
    done = store.committed(job)
    for lived, number in enumerate(sorted(set(range(count)) - done)):
        if lived == int(labels.get("dies_after", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        if not_wanted(store, job, token, lifeline):
            return
        store.commit(job, token, number, b"result")
        note(labels, f"partition {number}")
    store.move(job, token, "publishing")
    store.move(job, token, "succeeded", report=b'{"rows": {"written": 1}}')


def not_wanted(store: SqlBatchJobs, job: str, token: int, lifeline: int) -> bool:
    """Renews until the job may go on; whether it may not."""
    while True:
        committed = len(store.committed(job))
        progress = BatchProgress(
            read_rows=committed * PARTITION_ROWS,
            written_rows=committed * PARTITION_ROWS,
            rows_per_s=1000.0,
            workers=1,
        )
        known = store.renew(job, token, progress)
        if let_go(lifeline):
            store.release(job, token)
            return True
        if known.wanted != "run":
            store.move(job, token, "paused" if known.wanted == "pause" else "cancelled")
            return True
        gate = known.spec.labels.get("waits_for", "")
        if not gate or Path(gate).exists() or not committed:
            return False
        time.sleep(LOOK_S)


def note(labels: dict[str, str], text: str) -> None:
    if "notes" in labels:
        with Path(labels["notes"]).open("a") as notes:
            notes.write(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, kind in (("home", Path), ("job", str), ("token", int), ("lifeline", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    given = parser.parse_args()
    database = open_database(sqlite_url(given.home / "registry.db"))
    run(SqlBatchJobs(database, SystemClock()), given.job, given.token, given.lifeline)


if __name__ == "__main__":
    main()
