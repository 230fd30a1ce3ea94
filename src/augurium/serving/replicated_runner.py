"""Several runners of one version, as one executor: each run goes to the one with the least to do.

The first is started with the version; others come and go while it serves.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import structlog

from augurium.core.errors import AuguriumError
from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.memory_budget import Base
from augurium.serving.runner_executor import RUNS_AHEAD, RunnerExecutor
from augurium.serving.runner_link import Done
from augurium.serving.runner_stream import RunnerStream

# with more replicas than two each has as many runs ahead
RUNS_AHEAD_EACH = 2
# how often it is looked whether one that leaves has finished
LOOK_S = 0.05
# after a replica that did not start, and for longer each time
FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0

# starts the runner at one place, counted from 1: loaded; with True also tried. Blocking
Start = Callable[[int, bool], RunnerExecutor]

log = structlog.get_logger()


class ReplicatedRunner:
    """One version in any number of runners, at least one. The engines of a node share them: each
    opens the first places there are.

    `home` is this engine's number: engines with little to do begin with different replicas.
    """

    def __init__(self, name: str, start: Start, home: int = 0) -> None:
        """Returns when the first has loaded, untried. Blocking. Raises ModelFailed."""
        self._name = name
        self._start = start
        self._home = home
        self._changed = threading.Condition()
        self._exits: dict[str, int] = {}
        # of replicas that have left; a counter must not fall
        self._gone_restarts = 0
        self._wanted = 1
        self._working = False
        self._closed = False
        # callers on threads that have chosen a replica and are not yet counted by it
        self._entering: Counter[int] = Counter()
        self._first = start(1, False)
        self._loaded = {1: self._first}
        self._first.hand_on_to(partial(self._hand_on, self._first))
        # those that take runs, the one to be asked first at the beginning
        self._serving: tuple[RunnerExecutor, ...] = (self._first,)

    @property
    def threads(self) -> ThreadPoolExecutor:
        return self._first.threads

    @property
    def max_streams(self) -> int:
        return self._first.max_streams

    @property
    def runs_ahead(self) -> int:
        """As many batches are under way before the first is back."""
        return max(RUNS_AHEAD, RUNS_AHEAD_EACH * len(self._serving))

    @property
    def restarts(self) -> int:
        """How often it was this engine that started one of them again."""
        with self._changed:
            return self._gone_restarts + sum(one.restarts for one in self._loaded.values())

    @property
    def memory_bytes(self) -> int:
        """What the runners take now, all together."""
        return sum(replica.memory_bytes for replica in self._serving)

    @property
    def device_bytes(self) -> int:
        """What the runners take of their device now, all together. Blocking."""
        return sum(replica.device_bytes for replica in self._serving)

    @property
    def base(self) -> Base | None:
        """What the first takes beside its versions, where it has several; others share nothing."""
        return self._first.base

    @property
    def pids(self) -> list[int]:
        """The processes of those that are there and take runs."""
        return [pid for replica in self._serving if (pid := replica.pid)]

    def count_exits_in(self, exits: dict[str, int]) -> None:
        """See `ExitCounter`."""
        with self._changed:
            self._exits = exits
            for replica in self._loaded.values():
                replica.count_exits_in(exits)

    def set_replicas(self, number: int) -> None:
        """Begins to bring it to `number`, at least 1; on the event loop that begins runs.

        New ones take runs once they have loaded and run once. Those that leave, the last places
        first, finish what they accepted.
        """
        number = max(1, number)
        with self._changed:
            if self._closed or number == self._wanted:
                return
            self._wanted = number
            self._share_out()
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="augurium-replicas", daemon=True).start()
            self._changed.notify_all()

    def begin(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, wire.Parameter],
        deadline: float,
        done: Done,
    ) -> None:
        """See `AsyncExecutor.begin`. Always on the same event loop."""
        serving = self._serving
        replica = serving[0] if len(serving) == 1 else _least_busy(serving)
        replica.begin(inputs, parameters, deadline, done)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        with self._chosen() as replica:
            return replica.run(inputs)

    def run_with(
        self, inputs: Sequence[Array], parameters: Mapping[str, wire.Parameter]
    ) -> list[Array]:
        """As `run`, and tells the model these parameters."""
        with self._chosen() as replica:
            return replica.run_with(inputs, parameters)

    def open_stream(
        self, inputs: Sequence[Array], parameters: Mapping[str, wire.Parameter]
    ) -> RunnerStream:
        """Asks for a stream of answers. Blocking. Raises ModelFailed when there is no runner."""
        with self._chosen() as replica:
            return replica.open_stream(inputs, parameters)

    def expected_s(self, rows: int) -> float:
        """Never short: the loop must not wait for another process."""
        return float("inf")

    def close(self) -> None:
        """Lets go of all runners, which end when no other engine needs them."""
        with self._changed:
            self._closed = True
            replicas = list(self._loaded.values())
            self._changed.notify_all()
        for replica in replicas:
            replica.close()

    @contextmanager
    def _chosen(self) -> Iterator[RunnerExecutor]:
        """The replica for a caller on a thread; it does not leave meanwhile."""
        with self._changed:
            replica = _least_busy(self._serving)
            self._entering[id(replica)] += 1
        try:
            yield replica
        finally:
            with self._changed:
                self._entering[id(replica)] -= 1

    def _hand_on(
        self,
        lost: RunnerExecutor,
        inputs: Sequence[Array],
        parameters: Mapping[str, wire.Parameter],
        deadline: float,
        done: Done,
    ) -> bool:
        others = [one for one in self._serving if one is not lost and one.there]
        if not others:
            return False
        _least_busy(others).begin(inputs, parameters, deadline, done)
        return True

    def _share_out(self) -> None:
        """Runs go to those that are wanted and there, from now on."""
        serving = [self._loaded[place] for place in self._places() if place in self._loaded]
        turn = self._home % len(serving)
        self._serving = (*serving[turn:], *serving[:turn])

    def _places(self) -> range:
        return range(1, self._wanted + 1)

    def _work(self) -> None:
        """Starts who is missing and lets go of who is too many, until it is as wanted."""
        rest_s = FIRST_REST_S
        while True:
            with self._changed:
                missing = [place for place in self._places() if place not in self._loaded]
                leaving = [place for place in self._loaded if place > self._wanted]
                if self._closed or not (missing or leaving):
                    self._working = False
                    return
            still = [place for place in leaving if not self._let_go(place)]
            if missing:
                if self._add(missing[0]):
                    rest_s = FIRST_REST_S
                    continue
                self._rest(rest_s)
                rest_s = min(LONGEST_REST_S, 2 * rest_s)
            elif still:
                self._rest(LOOK_S)

    def _rest(self, seconds: float) -> None:
        """Returns after that time, or when something else is wanted."""
        with self._changed:
            wanted = self._wanted
            self._changed.wait_for(lambda: self._closed or self._wanted != wanted, seconds)

    def _add(self, place: int) -> bool:
        """One more takes runs; False if it does not start, which it says in the log."""
        try:
            replica = self._start(place, True)
        except AuguriumError as error:
            log.error("replica not started", version=self._name, place=place, reason=str(error))
            return False
        with self._changed:
            if not self._closed:
                replica.count_exits_in(self._exits)
                replica.hand_on_to(partial(self._hand_on, replica))
                self._loaded[place] = replica
                self._share_out()
                log.info("replica joined", version=self._name, place=place)
                return True
        replica.close()
        return True

    def _let_go(self, place: int) -> bool:
        """Ends one that takes no runs any more; False while it has some."""
        with self._changed:
            replica = self._loaded[place]
            if place <= self._wanted or self._closed:
                return True
            if replica.under_way or self._entering[id(replica)]:
                return False
            del self._loaded[place]
            self._entering.pop(id(replica), None)
            self._gone_restarts += replica.restarts
        replica.close()
        log.info("replica left", version=self._name, place=place)
        return True


def _least_busy(replicas: Sequence[RunnerExecutor]) -> RunnerExecutor:
    """Of those that are there the one with the fewest runs under way, the first of several: what
    comes while there is little to do stays together. Where none is there, one that comes soon.
    """
    chosen, least = None, 0
    for replica in replicas:
        if replica.there:
            busy = replica.under_way
            if not busy:
                return replica
            if chosen is None or busy < least:
                chosen, least = replica, busy
    if chosen is None:
        chosen = next((one for one in replicas if not one.problem), replicas[0])
    return chosen
