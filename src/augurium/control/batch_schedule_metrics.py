"""Schedules of batch jobs in Prometheus' format."""

from collections.abc import Mapping

import msgspec

from augurium.control.exposition import Exposition, labels


class ScheduleFacts(msgspec.Struct, frozen=True):
    """What this node knows of schedules: `ended` counts runs by schedule and state, `late_s` says
    by schedule for how long what is due has had no end.
    """

    ended: Mapping[tuple[str, str], int] = {}
    late_s: Mapping[str, float] = {}


def batch_schedules(page: Exposition, facts: ScheduleFacts) -> None:
    """All families."""
    page.family(
        "augurium_batch_schedule_runs_total",
        "counter",
        "Runs of schedules whose end this node told, by state: succeeded, failed, cancelled,"
        " skipped, missed",
    )
    for (schedule, state), count in sorted(facts.ended.items()):
        page.sample(labels(schedule=schedule, state=state), count)
    page.family(
        "augurium_batch_schedule_late_seconds",
        "gauge",
        "For how long the oldest run of a schedule is due without that its job has ended",
    )
    for schedule, late_s in sorted(facts.late_s.items()):
        page.sample(labels(schedule=schedule), late_s)
