"""Who may join a queue, and an open loop at twice what a version can do, in simulated time."""

import heapq
from collections import deque
from typing import NamedTuple

import numpy as np
import pytest

from augurium.core.errors import DeadlineExceeded, Overloaded
from augurium.core.priority import Priority
from augurium.serving.admission import STANDING_RUNS, Admission
from augurium.serving.drain_rate import DrainRate

BATCH_ROWS = 16


def busy(row_s: float = 0.001, first_s: float = 0.0, overloaded: bool = False) -> Admission:
    """An admission that has measured runs that take so long for each row and before the first."""
    admission = Admission(0.1, 0.5, BATCH_ROWS)
    for turn in range(3):
        admission.rate.took(BATCH_ROWS, turn * (first_s + BATCH_ROWS * row_s), True)
    for rows in (1, 2, 4, 8, 16):
        admission.rate.ran(rows, first_s + rows * row_s)
    if overloaded:
        admission.delay.left(9, 0)
        admission.delay.left(9, 1)
    return admission


def admitted(
    admission: Admission, rows: int, left_s: float = 9.0, priority: Priority = Priority.NORMAL
) -> str:
    try:
        admission.check(rows, 1, 2.0, 2.0 + left_s, priority)
    except Overloaded as error:
        return error.reason if (error.retry_after_s or 0) > 0 else "without a hint"
    except DeadlineExceeded:
        return "too late in any case"
    return "admitted"


def test_a_rate_is_measured_only_while_a_queue_stands() -> None:
    rate = DrainRate(10)
    rate.took(10, 0.0, False)
    rate.took(10, 5.0, True)
    assert rate.row_s == 0
    rate.took(10, 6.0, False)
    assert rate.row_s == pytest.approx(0.1)
    rate.took(10, 900.0, True)
    assert rate.row_s == pytest.approx(0.1)


def test_batches_that_leave_together_count_as_one_step() -> None:
    rate = DrainRate(10)
    for turn in range(200):
        rate.took(10, turn * 2.0, True)
        rate.took(10, turn * 2.0, True)
    assert rate.row_s == pytest.approx(0.1, rel=0.2)


def test_what_rows_take_at_least_is_what_fewer_took() -> None:
    rate = DrainRate(16)
    assert (rate.single_s, rate.least_s(5, 1), rate.wait_s(5)) == (0, 0, 0)
    rate.ran(4, 0.4)
    assert (rate.least_s(0, 1), rate.least_s(7, 1), rate.wait_s(8)) == (0, 0.4, 0.8)
    assert rate.single_s == 0.1
    rate.ran(1, 0.3)
    assert (rate.single_s, rate.least_s(0, 1)) == (0.3, 0.3)


def test_what_cannot_be_answered_in_time_is_refused_at_once() -> None:
    admission = busy()
    assert admitted(admission, 100, left_s=0.2) == "admitted"
    assert admitted(admission, 100, left_s=0.11) == "deadline"
    assert admitted(admission, 7, left_s=0.009) == "admitted"
    assert admitted(admission, 7, left_s=0.007) == "deadline"
    assert admitted(admission, 100, left_s=0.0005) == "too late in any case"


def test_nothing_is_refused_before_anything_was_measured() -> None:
    admission = Admission(0.1, 0.5, BATCH_ROWS)
    assert admitted(admission, 10_000, left_s=0.001) == "admitted"


def test_overload_refuses_what_matters_least_first() -> None:
    admission = busy(overloaded=True)
    limits = {
        priority: next(
            rows for rows in range(1, 1000) if admitted(admission, rows, 9, priority) != "admitted"
        )
        for priority in Priority
    }
    assert limits[Priority.BATCH] < limits[Priority.NORMAL] < limits[Priority.CRITICAL]
    assert admitted(busy(), 900) == "admitted"


def test_where_a_row_takes_long_some_may_wait() -> None:
    slow = busy(row_s=0.05, overloaded=True)
    assert admitted(slow, STANDING_RUNS - 1) == "admitted"
    assert admitted(slow, BATCH_ROWS, left_s=99) == "queue_delay"
    shared = busy(row_s=0.0, first_s=1.0, overloaded=True)
    assert admitted(shared, 7 * BATCH_ROWS, left_s=99) == "admitted"
    assert admitted(shared, 9 * BATCH_ROWS, left_s=99) == "queue_delay"


class Outcome(NamedTuple):
    """Of a simulation: answers in time per second of it, refusals, and delays of answers."""

    goodput: float
    refused: int
    delays: np.ndarray


def simulated(
    load: float,
    seconds: float,
    timeout_s: float = 30.0,
    target_s: float = 0.1,
    first_s: float = 0.004,
    row_s: float = 0.001,
    most_rows: int = BATCH_ROWS,
) -> Outcome:
    """One server whose runs take `first_s` and `row_s` for each row, of at most `most_rows`;
    Poisson arrivals at `load` times what it can do.
    """
    rng = np.random.default_rng(7)
    capacity = most_rows / (first_s + row_s * most_rows)
    arrivals = np.cumsum(rng.exponential(1 / (load * capacity), int(load * capacity * seconds)))
    admission = Admission(target_s, 0.5, most_rows)
    queue: deque[float] = deque()
    events = [(float(at), 0) for at in arrivals]
    heapq.heapify(events)
    delays: list[float] = []
    refused, running = 0, False
    batch: list[float] = []

    def run_s(rows: int) -> float:
        return first_s + row_s * rows

    def start(now: float) -> None:
        nonlocal running, batch
        while queue and queue[0] + timeout_s <= now:
            queue.popleft()
        if not queue:
            return
        if admission.delay.left(now - queue[0], now):
            while len(queue) > admission.limit_rows:
                queue.popleft()
        batch = [queue.popleft() for _ in range(min(len(queue), most_rows))]
        admission.rate.took(len(batch), now, bool(queue))
        running = True
        heapq.heappush(events, (now + run_s(len(batch)), 1))

    while events:
        now, ended = heapq.heappop(events)
        if ended:
            delays += [now - at for at in batch if now - at <= timeout_s]
            admission.rate.ran(len(batch), run_s(len(batch)))
            running = False
        else:
            try:
                if running or len(queue) >= most_rows:
                    admission.check(len(queue), 1, now, now + timeout_s, Priority.NORMAL)
                queue.append(now)
            except Overloaded:
                refused += 1
        if not running:
            start(now)
    return Outcome(len(delays) / seconds / capacity, refused, np.array(delays))


@pytest.mark.parametrize(
    ("first_s", "row_s", "most_rows", "goodput", "p99_s"),
    [
        (0.004, 0.001, 16, 0.95, 0.2),
        (0.0, 0.005, 256, 0.95, 0.4),
        (0.05, 0.001, 256, 0.85, 1.0),
        (0.5, 0.0, 8, 0.95, 5.0),
        (0.1, 0.1, 1, 0.95, 2.0),
    ],
    ids=["short runs", "every row costs", "batches pay", "batches are free", "one at a time"],
)
def test_at_twice_its_capacity_a_version_answers_as_many_as_it_can_and_soon(
    first_s: float, row_s: float, most_rows: int, goodput: float, p99_s: float
) -> None:
    found = simulated(2.0, 120, first_s=first_s, row_s=row_s, most_rows=most_rows)
    assert found.goodput > goodput
    assert np.quantile(found.delays[len(found.delays) // 5 :], 0.99) < p99_s


def test_deadlines_alone_keep_goodput_where_there_is_no_target() -> None:
    found = simulated(load=2.0, seconds=60, timeout_s=1.0, target_s=0)
    assert found.goodput > 0.95
    assert found.delays.max() <= 1.0


def test_below_its_capacity_nobody_is_refused() -> None:
    found = simulated(load=0.8, seconds=60, timeout_s=30)
    assert found.refused == 0
