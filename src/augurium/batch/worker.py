"""A worker of a batch job, run by the job's process as `python -m augurium.batch.worker`."""

from typing import TYPE_CHECKING

from augurium.batch.order_loop import carry_out

if TYPE_CHECKING:
    from augurium.batch.worker_desk import WorkerDesk
    from augurium.batch.worker_messages import Tell


def open_desk(tell: "Tell") -> "WorkerDesk":
    """What it does about orders; loads what every job needs."""
    from augurium.batch.worker_desk import WorkerDesk

    return WorkerDesk(tell)


if __name__ == "__main__":
    carry_out(open_desk)
