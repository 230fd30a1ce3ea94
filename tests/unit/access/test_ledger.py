from pathlib import Path

from augurium.access.ledger import Ledger


def test_what_one_process_writes_another_reads(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "ledger")
    ledger.set_due("key:a", 12.5)
    ledger.set_used("key:a", 99.0)
    ledger.want_signer(7.0)

    assert (other.due("key:a"), other.used("key:a")) == (12.5, 99.0)
    assert other.due("key:b") == 0
    assert other.signer_wanted_at == 7.0
    other.close()


def test_only_the_owner_may_read_the_file(ledger: Ledger, tmp_path: Path) -> None:
    assert (tmp_path / "ledger").stat().st_mode & 0o777 == 0o600


def test_a_hundred_thousand_credentials_find_room_and_the_newest_is_right(ledger: Ledger) -> None:
    for number in range(100_000):
        ledger.set_used(f"token:{number}", float(number + 1))

    assert ledger.used("token:99999") == 100_000
    assert (
        sum(ledger.used(f"token:{number}") == number + 1 for number in range(99_900, 100_000)) > 90
    )
