from augurium.core.clock import ManualClock
from augurium.scaling.observation import Observation
from augurium.scaling.policy import Pace, ScalingPolicy, Targets
from augurium.scaling.scalable import MemoryScalable
from augurium.scaling.scaler import LOGGED, LoggedDecision, Scaler

QUICK = Pace(window_s=0.0, count=100, period_s=1.0)
POLICY = ScalingPolicy(
    smallest=1, largest=8, targets=Targets(request_rate=10.0), up=QUICK, down=QUICK
)


class Watched:
    """A group and its scaler, a second apart."""

    def __init__(self, group: MemoryScalable) -> None:
        self.group = group
        self.clock = ManualClock()
        self.scaler = Scaler(group, POLICY, self.clock)

    def see(self, rate: float | None) -> LoggedDecision | None:
        self.clock.advance(1.0)
        at = self.clock.monotonic()
        seen = Observation(at=at, measured=self.group.current(), request_rate=rate)
        return self.scaler.step(None if rate is None else seen)


def test_a_decision_is_made_so_and_logged_with_what_was_done() -> None:
    watched = Watched(MemoryScalable("engines", 1))

    logged = watched.see(45.0)

    assert watched.group.history == [1, 5]
    assert logged is not None
    assert (logged.number, logged.decision.wanted, logged.done) == (1, 5, "5 now")
    assert "asks for 5" in logged.decision.reason
    assert watched.scaler.counts == {"up": 1, "down": 0, "hold": 0}


def test_what_goes_on_for_the_same_reason_is_logged_once() -> None:
    watched = Watched(MemoryScalable("engines", 1))

    logged = [watched.see(10.0) for _ in range(3)]

    assert [entry is None for entry in logged] == [False, True, True]
    assert watched.see(None) is not None
    assert watched.see(None) is None
    assert watched.scaler.latest is not None
    assert watched.scaler.latest.cause == "missing"
    assert watched.scaler.counts["hold"] == 5


def test_a_group_without_room_is_asked_again() -> None:
    watched = Watched(MemoryScalable("engines", 1, largest=3))

    logged = [watched.see(60.0) for _ in range(4)]

    assert watched.group.history == [1, 3]
    assert [entry and entry.decision.current for entry in logged] == [1, 3, None, None]
    assert logged[1] is not None
    assert logged[1].done == "3 now: there is no room for more"
    assert watched.scaler.counts["up"] == 4


def test_the_log_is_told_from_a_number_on_and_forgets_the_oldest() -> None:
    watched = Watched(MemoryScalable("engines", 1))
    for step in range(LOGGED + 10):
        watched.see(15.0 if step % 2 else 35.0)

    assert [entry.number for entry in watched.scaler.since(LOGGED + 8)] == [LOGGED + 9, LOGGED + 10]
    assert len(watched.scaler.since(0)) == LOGGED
