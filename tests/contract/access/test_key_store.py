from datetime import timedelta
from typing import Any

import pytest

from augurium.access.key_store import KeyStore
from augurium.access.key_text import read_key_text
from augurium.access.keys import IssuedKey, KeyDraft
from augurium.access.principal import LOCAL, Principal
from augurium.access.scopes import Scope
from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from tests.contract.access.conftest import Kept

DAY_S = 86400.0


def create(store: KeyStore, name: str = "ci", **fields: Any) -> IssuedKey:
    return store.create(KeyDraft(name=name, **({"scopes": (Scope.DEPLOY,)} | fields)), LOCAL)


def test_a_new_key_is_live_and_only_its_digest_is_kept(store: KeyStore) -> None:
    issued = create(store, models=("fraud-*",), rate=5.0, burst=2)
    text = read_key_text(issued.key)
    (live,) = store.live()

    assert text is not None
    assert (live.id, live.digest) == (text.id, text.digest)
    assert (live.name, live.scopes, live.models) == ("ci", (Scope.DEPLOY,), ("fraud-*",))
    assert (live.rate, live.burst) == (5.0, 2)
    assert list(store.all()) == [issued.record]


def test_a_name_has_one_key_until_it_is_rotated(store: KeyStore) -> None:
    create(store)

    with pytest.raises(Conflict, match="keys rotate ci"):
        create(store)


def test_a_rotation_leaves_two_keys_that_open_the_same(store: KeyStore, clock: ManualClock) -> None:
    old = create(store, scopes=(Scope.PREDICT,), models=("a*",), expires_in_s=DAY_S)
    clock.advance(3600)
    new = store.rotate("ci", LOCAL)

    assert new.key != old.key
    assert {key.id for key in store.live()} == {old.record.id, new.record.id}
    assert (new.record.scopes, new.record.models) == ((Scope.PREDICT,), ("a*",))
    assert new.record.expires_at == clock.now() + timedelta(days=1)


def test_a_third_live_key_of_a_name_is_refused_with_what_to_do(
    store: KeyStore, clock: ManualClock
) -> None:
    first = create(store)
    clock.advance(1)
    store.rotate("ci", LOCAL)

    with pytest.raises(Conflict, match=f"keys revoke {first.record.id}"):
        store.rotate("ci", LOCAL)
    store.revoke(first.record.id, LOCAL)
    store.rotate("ci", LOCAL)


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(
    store: KeyStore, clock: ManualClock
) -> None:
    issued = create(store)
    (ended,) = store.revoke("ci", LOCAL)

    assert ended.id == issued.record.id
    assert list(store.live()) == []
    assert [key.revoked_at for key in store.all()] == [clock.now()]


def test_a_name_is_revoked_with_all_its_keys(store: KeyStore) -> None:
    create(store)
    store.rotate("ci", LOCAL)

    assert len(store.revoke("ci", LOCAL)) == 2
    assert list(store.live()) == []


def test_a_name_is_free_again_when_its_keys_ended(store: KeyStore, clock: ManualClock) -> None:
    create(store, expires_in_s=60.0)
    clock.advance(60)

    assert list(store.live()) == []
    create(store)


@pytest.mark.parametrize("which", ["nobody", "", "nul\0", "' OR 1=1 --", "x" * 5000])
def test_what_is_not_there_is_neither_rotated_nor_revoked(store: KeyStore, which: str) -> None:
    with pytest.raises(NotFound, match="keys list"):
        store.revoke(which, LOCAL)
    with pytest.raises(NotFound, match="keys list"):
        store.rotate(which, LOCAL)


def test_a_key_is_not_revoked_twice(store: KeyStore) -> None:
    create(store)
    store.revoke("ci", LOCAL)

    with pytest.raises(NotFound):
        store.revoke("ci", LOCAL)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"name": "two words"}, "key name"),
        ({"name": ""}, "key name"),
        ({"name": "nul\0"}, "key name"),
        ({"scopes": ()}, "predict"),
        ({"models": ("a/b",)}, "fraud-"),
        ({"expires_in_s": 0.0}, "live for"),
        ({"expires_in_s": -1.0}, "live for"),
        ({"expires_in_s": 1e12}, "ten years"),
        ({"expires_in_s": float("nan")}, "live for"),
        ({"rate": -1.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"burst": 5}, "give both"),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused(
    store: KeyStore, fields: dict[str, Any], hint: str
) -> None:
    with pytest.raises(InvalidArgument, match=hint):
        create(store, **{"name": "ci"} | fields)
    assert list(store.all()) == []


@pytest.mark.parametrize(
    ("scopes", "models"),
    [
        ((Scope.ADMIN,), ("fraud-eu",)),
        ((Scope.PREDICT,), ("fraud-eu",)),
        ((Scope.DEPLOY,), ()),
        ((Scope.DEPLOY,), ("*",)),
        ((Scope.DEPLOY,), ("fraud-*", "churn")),
    ],
)
def test_nobody_gives_away_more_than_they_have(
    store: KeyStore, scopes: tuple[Scope, ...], models: tuple[str, ...]
) -> None:
    limited = Principal("team", "key:team", [Scope.DEPLOY], ["fraud-*"])

    with pytest.raises(PermissionDenied):
        store.create(KeyDraft(name="more", scopes=scopes, models=models), limited)
    assert list(store.all()) == []


def test_one_gives_away_what_one_has_or_less(store: KeyStore) -> None:
    limited = Principal("team", "key:team", [Scope.DEPLOY], ["fraud-*"])
    draft = KeyDraft(name="less", scopes=(Scope.READ,), models=("fraud-eu-*",))

    assert store.create(draft, limited).record.created_by == "team"


def test_the_keys_of_others_are_not_there_for_a_limited_admin(store: KeyStore) -> None:
    create(store, name="everything")
    limited = Principal("team", "key:team", [Scope.ADMIN], ["fraud-*"])

    with pytest.raises(NotFound):
        store.revoke("everything", limited)
    with pytest.raises(NotFound):
        store.rotate("everything", limited)


def test_every_change_is_in_the_audit_log_without_the_secret(kept: Kept) -> None:
    registry, store = kept.registry, kept.store
    before = registry.revision()
    issued = create(store, models=("a*",), expires_in_s=DAY_S, rate=1.0)
    rotated = store.rotate("ci", LOCAL)
    store.revoke("ci", LOCAL)
    entries = list(reversed(registry.audit()))
    text = repr(entries)

    assert [entry.action for entry in entries] == ["create_key", "rotate_key", "revoke_key"]
    assert {entry.actor for entry in entries} == {"local"}
    assert entries[1].details["previous"] == issued.record.id
    assert registry.revision() == before + 3
    for key in (issued.key, rotated.key):
        assert key.split("_")[3] not in text


def test_a_refused_change_leaves_no_trace(kept: Kept) -> None:
    with pytest.raises(InvalidArgument):
        create(kept.store, scopes=())

    assert kept.registry.revision() == 0


def test_a_use_is_noted_and_is_no_change(kept: Kept, clock: ManualClock) -> None:
    issued = create(kept.store)
    revision = kept.registry.revision()
    clock.advance(60)
    kept.store.note_use({issued.record.id: clock.now(), "gone": clock.now()})
    kept.store.note_use({})

    assert [key.last_used_at for key in kept.store.all()] == [clock.now()]
    assert kept.registry.revision() == revision
