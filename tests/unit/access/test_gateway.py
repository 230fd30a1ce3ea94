"""Who is let in, by their header alone."""

from collections.abc import Callable

import pytest

from augurium.access.access import Access, CertificateRule
from augurium.access.gateway import Gateway, check_query
from augurium.access.key_text import KeyText, new_key_text
from augurium.access.keys import LiveKey
from augurium.access.ledger import Ledger
from augurium.access.rights import DATA_PLANE
from augurium.access.scopes import Scope
from augurium.core.clock import ManualClock
from augurium.core.errors import PermissionDenied, RateLimited, Unauthenticated

MakeKey = Callable[..., tuple[KeyText, LiveKey]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gateway(ledger: Ledger, clock: ManualClock) -> Gateway:
    return Gateway(ledger, lambda: clock.now().timestamp())


def bearer(key: KeyText) -> str:
    return f"Bearer {key.text}"


def test_a_key_with_the_scope_is_let_in_under_its_name(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT)
    gateway.renew(Access(keys=(key,)))

    for _ in range(2):  # the second time from memory
        admission = gateway.admit(bearer(text), "infer")
        assert admission is not None
        assert admission.caller.name == "app"


def test_a_key_without_the_scope_is_told_which_one_it_needs(
    gateway: Gateway, make_key: MakeKey
) -> None:
    text, key = make_key("app", Scope.READ)
    gateway.renew(Access(keys=(key,)))

    with pytest.raises(PermissionDenied, match="'predict'"):
        gateway.admit(bearer(text), "infer")


@pytest.mark.parametrize("scope", [Scope.READ, Scope.PREDICT, Scope.DEPLOY, Scope.ADMIN])
def test_whoever_may_do_anything_may_look(
    gateway: Gateway, make_key: MakeKey, scope: Scope
) -> None:
    text, key = make_key("app", scope)
    gateway.renew(Access(keys=(key,)))

    assert gateway.admit(bearer(text), "metadata")


def test_public_operations_ask_nobody(gateway: Gateway) -> None:
    assert gateway.admit(None, "live") is None
    assert gateway.admit("garbage", "ready") is None


def test_an_operation_that_is_not_listed_is_refused_even_to_an_admin(
    gateway: Gateway, make_key: MakeKey
) -> None:
    text, key = make_key("root", Scope.ADMIN)
    gateway.renew(Access(keys=(key,)))

    with pytest.raises(PermissionDenied, match="no rights listed"):
        gateway.admit(bearer(text), "explode")
    assert "explode" not in DATA_PLANE


def test_every_bad_credential_gets_the_same_words(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT)
    expired_text, expired = make_key("old", Scope.PREDICT, expires_at=1.0)
    gateway.renew(Access(keys=(key, expired)))
    secret_of_another = new_key_text("live").text.split("_")[3]
    bad = [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {text.text}",
        f"Bearer {text.text}x",
        f"Bearer {text.text[:-1]}",
        bearer(new_key_text("live")),
        bearer(expired_text),
        f"Bearer aug_live_{text.id}_{secret_of_another}_000000",
        "Bearer a.b.c",
        "Bearer " + "x" * 1_000_000,
        "Bearer ключ",
        "Bearer \udcff",
        f"Bearer {text.text} {text.text}",
    ]
    words = set()
    for header in bad:
        with pytest.raises(Unauthenticated) as refused:
            gateway.admit(header, "infer")
        words.add(str(refused.value))

    assert len(words) == 1
    assert text.text not in words.pop()


def test_the_scheme_may_be_written_in_any_case(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT)
    gateway.renew(Access(keys=(key,)))

    assert gateway.admit(f"bEaReR   {text.text} ", "infer")


def test_a_revoked_key_is_refused_from_the_next_renewal_on(
    gateway: Gateway, make_key: MakeKey
) -> None:
    text, key = make_key("app", Scope.PREDICT)
    gateway.renew(Access(keys=(key,)))
    gateway.admit(bearer(text), "infer")
    gateway.renew(Access())

    with pytest.raises(Unauthenticated):
        gateway.admit(bearer(text), "infer")


def test_a_key_ends_in_the_moment_it_expires_though_it_was_remembered(
    gateway: Gateway, make_key: MakeKey, clock: ManualClock
) -> None:
    text, key = make_key("app", Scope.PREDICT, expires_at=clock.now().timestamp() + 10)
    gateway.renew(Access(keys=(key,)))
    gateway.admit(bearer(text), "infer")
    clock.advance(10)

    with pytest.raises(Unauthenticated):
        gateway.admit(bearer(text), "infer")


def test_a_key_sees_the_models_of_its_patterns_only(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT, models=("fraud-*", "churn"))
    gateway.renew(Access(keys=(key,)))
    caller = gateway.authenticate(bearer(text))

    assert caller.sees("fraud-eu")
    assert caller.sees("churn")
    assert not caller.sees("churn2")
    assert not caller.sees("fraud-" + "x" * 4096)


def test_a_rate_counts_and_is_told(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT, rate=0.001, burst=2)
    gateway.renew(Access(keys=(key,)))
    left = [gateway.admit(bearer(text), "infer") for _ in range(2)]

    assert [admission.quota.remaining for admission in left if admission and admission.quota] == [
        1,
        0,
    ]
    with pytest.raises(RateLimited):
        gateway.admit(bearer(text), "infer")


def test_the_rate_of_the_node_is_for_keys_without_one(gateway: Gateway, make_key: MakeKey) -> None:
    text, key = make_key("app", Scope.PREDICT)
    gateway.renew(Access(keys=(key,), rate=0.001, burst=1))
    gateway.admit(bearer(text), "infer")

    with pytest.raises(RateLimited):
        gateway.admit(bearer(text), "infer")


def test_the_last_use_of_a_key_is_noted(
    gateway: Gateway, make_key: MakeKey, ledger: Ledger, clock: ManualClock
) -> None:
    text, key = make_key("app", Scope.PREDICT)
    gateway.renew(Access(keys=(key,)))
    gateway.admit(bearer(text), "infer")

    assert ledger.used(f"key:{text.id}") == clock.now().timestamp()


def test_the_owner_of_a_certificate_may_do_what_its_name_says(gateway: Gateway) -> None:
    rule = CertificateRule("*.batch.internal", (Scope.PREDICT,))
    gateway.renew(Access(certificates=(rule,)))
    admission = gateway.admit(None, "infer", ("scorer.batch.internal",))

    assert admission is not None
    assert admission.caller.name == "certificate:scorer.batch.internal"
    with pytest.raises(Unauthenticated):
        gateway.admit(None, "infer", ("scorer.web.internal",))
    with pytest.raises(Unauthenticated):
        gateway.admit("Bearer bad", "infer", ("scorer.batch.internal",))


@pytest.mark.parametrize(
    ("rule", "name", "fits"),
    [
        ("*.batch.internal", "a.batch.internal", True),
        ("*.batch.internal", "https://evil.example/a.batch.internal", False),
        ("spiffe://prod/*", "spiffe://prod/scorer", True),
        ("spiffe://prod/*", "spiffe://test/scorer", False),
        ("*", "spiffe://prod/scorer", False),
        ("*:*", "spiffe://prod/scorer", True),
    ],
)
def test_a_rule_for_dns_names_fits_no_uri(
    gateway: Gateway, rule: str, name: str, fits: bool
) -> None:
    gateway.renew(Access(certificates=(CertificateRule(rule, (Scope.PREDICT,)),)))

    assert gateway.knows(None, (name,)) is fits


def test_whether_a_credential_is_good_can_be_asked_without_an_operation(
    gateway: Gateway, make_key: MakeKey
) -> None:
    text, key = make_key("app", Scope.READ)
    gateway.renew(Access(keys=(key,)))

    assert gateway.knows(bearer(text))
    assert not gateway.knows(f"{bearer(text)}x")
    assert not gateway.knows(None)


@pytest.mark.parametrize(
    "query", ["key=a", "x=1&api_key=b", "ACCESS_TOKEN=c", "a=aug_live_a_b_c", "k%65y=1", "token"]
)
def test_a_credential_in_an_address_is_refused(query: str) -> None:
    with pytest.raises(Unauthenticated, match="not accepted in an address"):
        check_query(query)


@pytest.mark.parametrize("query", ["", "limit=10", "model=monkey", "keys=1"])
def test_other_parameters_are_no_credentials(query: str) -> None:
    check_query(query)
