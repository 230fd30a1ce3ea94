"""Settings of batch jobs."""

from typing import Annotated, Literal

from msgspec import Meta

from augurium.core.settings_section import Count, Section

Scheduling = Literal["idle", "low", "normal"]
RUN_TIMEOUT_S = 600.0


class BatchSettings(Section, frozen=True):
    """Batch jobs: how many run, what they may use, and which files they may touch."""

    enabled: bool = True
    """Run jobs on this node; false leaves them to other nodes of the same registry."""
    roots: tuple[str, ...] = ()
    """Folders and prefixes, such as `/data` or `s3://bucket/scoring`, below which jobs may read and
    write. Empty: anything the node may, where it asks for no credentials, and nothing where it
    does.
    """
    most_running: Count = 2
    """Jobs that run at the same time, on all nodes of the registry together; others wait, those of
    a higher priority less long.
    """
    workers: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Processes of a job that names no number; 0: one per core."""
    scheduling: Scheduling = "idle"
    """How workers stand beside everything else on the machine: `idle` ones run when nothing else
    wants to, so online traffic does not notice them; `low` ones get a little of a machine that is
    always busy as well; `normal` is for machines that do nothing but batch jobs. While predictions
    come, `idle` ones keep off the processors that predictions need.
    """
    ray_address: str = ""
    """The Ray cluster of jobs with `engine = "ray"`, such as `auto` where this machine is a node of
    it, or `10.0.0.1:6379`; empty: a cluster of this machine alone for each of them.
    """
    lease_s: Annotated[float, Meta(ge=2, le=3600)] = 15.0
    """A job whose process was silent for so long is taken over; it goes on behind the last
    partition that was committed.
    """
    attempts: Annotated[int, Meta(ge=1, le=100)] = 5
    """A job whose process dies so often in succession, without a partition committed in between,
    fails.
    """
    run_timeout_s: Annotated[float, Meta(gt=0, le=86_400)] = RUN_TIMEOUT_S
    """How long the model may run on one batch of rows. A worker whose model takes longer is ended;
    the row on which it hangs is found, and set aside as one that ends workers.
    """
    check_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """How long it may take to look at the input and the output of a job that is submitted; what
    takes longer is left to the job itself.
    """
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 90.0
    """How long jobs are remembered after their end; 0: for ever. Their files stay."""
    cost_per_core_hour: Annotated[float, Meta(ge=0)] = 0.0
    """What an hour of a core costs, in whatever currency, for the estimate in reports; 0: none."""

    @property
    def keeps_apart(self) -> bool:
        """Whether jobs and predictions have processors of their own while both have work."""
        return self.enabled and self.scheduling == "idle"
