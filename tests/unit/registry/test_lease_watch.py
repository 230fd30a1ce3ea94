from hypothesis import given
from hypothesis import strategies as st

from augurium.core.clock import ManualClock
from augurium.registry.lease_watch import LeaseWatch

LEASE_S = 10.0


def test_a_lease_has_lapsed_when_it_stood_still_for_its_time() -> None:
    clock = ManualClock()
    watch = LeaseWatch(clock)
    still, alive = ("job", 1, 7), ("other", 1, 0)

    assert watch.lapsed([still, alive], LEASE_S) == []
    clock.advance(LEASE_S)
    assert watch.lapsed([still, ("other", 1, 1)], LEASE_S) == [still]


def test_a_lease_that_was_gone_for_a_while_is_news() -> None:
    clock = ManualClock()
    watch = LeaseWatch(clock)
    watch.lapsed([("job", 1, 7)], LEASE_S)
    watch.lapsed([], LEASE_S)
    clock.advance(LEASE_S)

    assert watch.lapsed([("job", 1, 7)], LEASE_S) == []


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), min_size=1))
def test_no_lease_lapses_sooner_than_its_time_after_the_last_beat(
    looks: list[tuple[float, bool]],
) -> None:
    clock = ManualClock()
    watch = LeaseWatch(clock)
    beat, beaten_at = 0, clock.monotonic()

    for pause_s, beats in looks:
        clock.advance(pause_s)
        if beats:
            beat, beaten_at = beat + 1, clock.monotonic()
        if watch.lapsed([("job", 1, beat)], LEASE_S):
            assert clock.monotonic() - beaten_at >= LEASE_S
