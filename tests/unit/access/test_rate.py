import pytest

from augurium.access.ledger import Ledger
from augurium.access.principal import Principal
from augurium.access.rate import Rates
from augurium.access.scopes import Scope
from augurium.core.clock import ManualClock
from augurium.core.errors import RateLimited


def caller(rate: float, burst: int = 0, identity: str = "key:a") -> Principal:
    return Principal("a", identity, [Scope.PREDICT], rate=rate, burst=burst)


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(1000)
    return clock


@pytest.fixture
def rates(ledger: Ledger, clock: ManualClock) -> Rates:
    return Rates(ledger, clock.monotonic)


def test_a_burst_passes_at_once_and_no_more(rates: Rates) -> None:
    left = [rates.spend(caller(10, 3)).remaining for _ in range(3)]

    assert left == [2, 1, 0]
    with pytest.raises(RateLimited, match="10 requests per second, 3 at once"):
        rates.spend(caller(10, 3))


def test_a_refusal_says_when_to_try_again_and_then_it_passes(
    rates: Rates, clock: ManualClock
) -> None:
    for _ in range(3):
        rates.spend(caller(10, 3))
    with pytest.raises(RateLimited) as refused:
        rates.spend(caller(10, 3))

    assert refused.value.retry_after_s == pytest.approx(0.1)
    clock.advance(refused.value.retry_after_s)
    assert rates.spend(caller(10, 3)).remaining == 0


def test_over_a_long_time_exactly_the_rate_passes(rates: Rates, clock: ManualClock) -> None:
    passed = 0
    for _ in range(1000):
        clock.advance(0.01)
        try:
            rates.spend(caller(7, 2))
        except RateLimited:
            continue
        passed += 1

    assert 70 <= passed <= 72


def test_without_a_burst_a_seconds_worth_passes_at_once(rates: Rates) -> None:
    assert rates.spend(caller(5)).limit == 5
    assert rates.spend(caller(0.5, identity="key:b")).limit == 1


def test_callers_do_not_share_their_rates(rates: Rates) -> None:
    rates.spend(caller(1, identity="key:a"))
    rates.spend(caller(1, identity="key:b"))

    with pytest.raises(RateLimited):
        rates.spend(caller(1, identity="key:a"))


def test_processes_that_share_a_ledger_share_the_rate(ledger: Ledger, clock: ManualClock) -> None:
    engines = [Rates(ledger, clock.monotonic) for _ in range(2)]
    for engine in engines:
        engine.spend(caller(1, 2))

    for engine in engines:
        with pytest.raises(RateLimited):
            engine.spend(caller(1, 2))


def test_a_time_of_another_boot_does_not_lock_a_caller_out(rates: Rates, ledger: Ledger) -> None:
    ledger.set_due("key:a", 1e9)

    assert rates.spend(caller(1, 2)).remaining == 1
