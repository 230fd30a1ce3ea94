"""Drives a Ray cluster for a job, whose process runs `python -m augurium.batch.ray_driver`.

Partitions are the rows of a dataset, which is mapped by a pool of actors, a partition at a time.
Nothing else of batch imports Ray.
"""

import logging
import os
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from augurium.batch.order_loop import carry_out
from augurium.batch.remote_scorer import (
    RemoteScorer,
    ScorerStart,
    Shipped,
    mark_output,
    releases,
    shipped,
)
from augurium.batch.worker_messages import (
    Done,
    Failed,
    Gathered,
    Order,
    Reply,
    ScoreAll,
    Tell,
    decode_said,
    encode,
)
from augurium.core.errors import InvalidArgument, NotReady, Unprocessable

# how often the notes of scorers are fetched
READ_EVERY_S = 0.5
MOST_NOTES = 10_000
ANSWERS_WITHIN_S = 5.0
# what a store of a cluster of this machine has beside the model; Ray takes no less
STORE_BYTES = 100 * 1024 * 1024


class RayDesk:
    """Has partitions scored by Ray."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._cluster = ExitStack()

    def answer(self, order: Order) -> Reply:
        """`Done` when all partitions were told of, or why one could not be scored.

        Raises NotReady for a cluster that is away, Unprocessable for one that cannot run scorers.
        """
        if not isinstance(order, ScoreAll):
            raise InvalidArgument(f"the driver of Ray does not do {type(order).__name__}")
        files = shipped(order.load)
        with self._cluster:
            self._connect(order, files)
            return self._score(order, files)

    def leave(self) -> None:
        """Ends the cluster, or what runs for the job on it."""
        self._cluster.close()

    def _connect(self, order: ScoreAll, files: Shipped) -> None:
        options: dict[str, Any] = {"address": order.address}
        if not order.address:
            size = sum(content.nbytes for content in files.values())
            # Ray would keep its logs for ever, and scorers that are killed keep their files
            folder = self._cluster.enter_context(_temporary_folder())
            os.environ["TMPDIR"] = folder
            options = {
                "address": "local",
                "num_cpus": order.scorers,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES + 2 * size,
                "_temp_dir": folder,
            }
        self._cluster.callback(ray.shutdown)
        try:
            _check_answers(order.address)
            ray.init(log_to_driver=False, logging_level=logging.WARNING, **options)
        except (ConnectionError, RuntimeError, OSError, RayError) as error:
            where = f"at {order.address}" if order.address else "of this machine"
            raise NotReady(
                f"the Ray cluster {where} does not answer: {error}; start it, or correct"
                " batch.ray_address"
            ) from error

    def _score(self, order: ScoreAll, files: Shipped) -> Reply:
        board = _board()
        home = RayHome(ray.put(files), board)
        mark_output(order.load)
        try:
            with self._relayed(board):
                scorers = _scorers(order)
                self._tell(Gathered(scorers))
                for said in _said(order, scorers, home):
                    if isinstance(said, Failed):
                        return said
                    self._tell(said)
        except RayError as error:
            raise Unprocessable(
                f"Ray cannot score partitions: {_last_line(error)}; every node of the cluster needs"
                f" `pip install 'augurium[ray]=={releases()['augurium']}'`, and what the"
                " model needs"
            ) from error
        return Done()

    @contextmanager
    def _relayed(self, board: Any) -> Iterator[None]:
        """Passes the notes of scorers on while the block runs."""
        ended = threading.Event()

        def relay() -> None:
            while not ended.wait(READ_EVERY_S):
                # a board whose node was lost is there again, without its notes
                with suppress(RayError):
                    for note in ray.get(board.take.remote()):
                        self._tell(decode_said(note))

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class RayHome:
    """A `Home` by way of Ray's object store, and of an actor on the driver's node."""

    def __init__(self, files: Any, board: Any) -> None:
        self._files = files
        self._board = board

    def files(self) -> Shipped:
        found: Shipped = ray.get(self._files)
        return found

    def begun(self, number: int) -> int:
        count: int = ray.get(self._board.begin.remote(number))
        return count

    def tell(self, note: bytes) -> None:
        self._board.tell.remote(note)


class Board:
    """Where scorers leave notes until the driver takes them."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()
        self._notes: deque[bytes] = deque(maxlen=MOST_NOTES)

    def begin(self, number: int) -> int:
        """Counts how often a partition was begun."""
        self._begun[number] += 1
        return self._begun[number]

    def tell(self, note: bytes) -> None:
        """Leaves one; where too many wait, the oldest is forgotten."""
        self._notes.append(note)

    def take(self) -> list[bytes]:
        """All that were left since the last time."""
        notes = list(self._notes)
        self._notes.clear()
        return notes


def _check_answers(address: str) -> None:
    """Raises OSError where nobody listens, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), ANSWERS_WITHIN_S).close()


def _board() -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote: Any = ray.remote(Board)
    # without processors of its own, so that it never waits for one
    placed = remote.options(
        num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
    )
    return placed.remote()


def _scorers(order: ScoreAll) -> int:
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    most = order.scorers or int(cluster.get("GPU" if _on_gpu(order) else "CPU", 1))
    return max(1, min(most, len(order.partitions)))


def _on_gpu(order: ScoreAll) -> bool:
    return order.load.model.device.on_cuda


def _said(order: ScoreAll, scorers: int, home: RayHome) -> Iterator[Any]:
    """What scorers say of the partitions, in the order in which they are done.

    Ray replaces scorers whose nodes are lost, and has them do again what they were at.
    """
    start = ScorerStart(order.load, order.how, order.batch_size, releases())
    rows = [{"partition": encode(partition)} for partition in order.partitions]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        RemoteScorer,  # type: ignore[arg-type] # its objects are what is called
        fn_constructor_args=(encode(start), home),
        # a partition that waits for a busy actor would wait for its end
        compute=ray.data.ActorPoolStrategy(size=scorers, max_tasks_in_flight_per_actor=1),
        num_cpus=1,
        num_gpus=1 if _on_gpu(order) else None,
    )
    # with a batch ahead, every result would wait for the next one
    for batch in dataset.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
        yield from map(decode_said, batch["said"])


@contextmanager
def _temporary_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="augurium-ray-", ignore_cleanup_errors=True) as folder:
        yield folder


def _last_line(error: RayError) -> str:
    return str(error).strip().rpartition("\n")[2]


if __name__ == "__main__":
    carry_out(RayDesk)
