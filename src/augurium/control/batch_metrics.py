"""Batch jobs in Prometheus' format."""

from augurium.control.batch_counts import BatchCounts
from augurium.control.exposition import Exposition, labels

STATES = ("queued", "running", "paused", "publishing")


def batch_jobs(page: Exposition, counts: BatchCounts) -> None:
    """All families."""
    page.family(
        "augurium_batch_jobs", "gauge", "Batch jobs of the registry that have not ended, by state"
    )
    for state in STATES:
        page.sample(labels(state=state), counts.states[state])
    for name, label, description, found in (
        (
            "augurium_batch_jobs_ended_total",
            "state",
            "Batch jobs of this node that ended, by state: succeeded, failed, cancelled",
            counts.ended,
        ),
        (
            "augurium_batch_job_rows_total",
            "outcome",
            "Rows of batch jobs by what became of them: written, filtered, rejected",
            counts.rows,
        ),
        (
            "augurium_batch_job_rejected_total",
            "reason",
            "Rows that batch jobs set aside, by reason",
            counts.rejected,
        ),
        (
            "augurium_batch_job_stage_seconds_total",
            "stage",
            "Seconds that processes of batch jobs spent by stage, of all processes together",
            counts.seconds,
        ),
    ):
        page.family(name, "counter", description)
        for (model, value), count in sorted(found.items()):
            page.sample(labels(model=model, **{label: value}), count)
    page.family("augurium_batch_job_partitions_total", "counter", "Partitions that were committed")
    for model, count in sorted(counts.partitions.items()):
        page.sample(labels(model=model), count)
    page.family(
        "augurium_batch_job_rows_per_second", "gauge", "Rows that batch jobs do per second now"
    )
    for model, rate in sorted(counts.rates.items()):
        page.sample(labels(model=model), rate)
    page.family(
        "augurium_batch_job_process_deaths_total",
        "counter",
        "Processes of batch jobs that ended without a word, and were replaced",
    )
    page.sample("", counts.deaths)
