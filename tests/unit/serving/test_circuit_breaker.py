from augurium.core.serving_policy import BreakerPolicy
from augurium.serving.circuit_breaker import CircuitBreaker

POLICY = BreakerPolicy(failure_rate=0.5, window_s=10, least_requests=4, open_s=5, probes=2)


class Circuit:
    """A breaker whose clock the test turns; without jitter."""

    def __init__(self, chance: float = 0.5) -> None:
        self.now = 0.0
        self.breaker = CircuitBreaker(POLICY, lambda: self.now, lambda: chance)

    def ask(self, *outcomes: bool | None) -> list[bool]:
        """Whether each request was let through."""
        found = []
        for ok in outcomes:
            found.append(self.breaker.admits())
            if found[-1]:
                self.breaker.ended(ok)
        return found


def test_it_opens_when_half_of_the_answers_fail() -> None:
    circuit = Circuit()
    assert circuit.ask(True, False, True, False, True) == [True] * 4 + [False]
    assert circuit.breaker.is_open
    assert circuit.breaker.opens_in_s == 5


def test_a_few_failures_say_nothing() -> None:
    circuit = Circuit()
    assert circuit.ask(False, False, False) == [True] * 3
    assert not circuit.breaker.is_open


def test_what_lies_before_the_window_does_not_count() -> None:
    circuit = Circuit()
    circuit.ask(False, False, False)
    circuit.now = 10.5
    circuit.ask(False, False, True)
    assert not circuit.breaker.is_open


def test_callers_mistakes_and_departures_are_neither() -> None:
    circuit = Circuit()
    circuit.ask(*[None] * 20, False, False, False)
    assert not circuit.breaker.is_open


def test_probes_come_one_at_a_time_and_close_it() -> None:
    circuit = Circuit()
    circuit.ask(*[False] * 4)
    circuit.now = 4.9
    assert not circuit.breaker.admits()
    circuit.now = 5
    assert circuit.breaker.admits()
    assert not circuit.breaker.admits()
    circuit.breaker.ended(True)
    assert circuit.breaker.is_open
    assert circuit.ask(True, True, False) == [True] * 3
    assert not circuit.breaker.is_open


def test_a_failed_probe_opens_it_again() -> None:
    circuit = Circuit()
    circuit.ask(*[False] * 4)
    circuit.now = 5
    assert circuit.ask(True, False, True) == [True, True, False]
    circuit.now = 9.9
    assert not circuit.breaker.admits()
    circuit.now = 10
    assert circuit.ask(True, True, True) == [True] * 3
    assert not circuit.breaker.is_open


def test_a_probe_whose_caller_left_makes_room_for_the_next() -> None:
    circuit = Circuit()
    circuit.ask(*[False] * 4)
    circuit.now = 5
    assert circuit.ask(None, True, True) == [True] * 3
    assert not circuit.breaker.is_open


def test_what_was_asked_before_it_opened_is_no_probe() -> None:
    circuit = Circuit()
    circuit.breaker.admits()
    circuit.ask(*[False] * 4)
    circuit.breaker.ended(True)
    circuit.now = 5
    assert circuit.breaker.admits()


def test_the_pause_is_jittered() -> None:
    pauses = []
    for chance in (0.0, 1.0):
        circuit = Circuit(chance)
        circuit.ask(*[False] * 4)
        pauses.append(round(circuit.breaker.opens_in_s, 6))
    assert pauses == [4.0, 6.0]
