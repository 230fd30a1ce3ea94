"""Tokens of an identity provider: what is believed and what is not."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwk, jws, jwt
from joserfc.errors import SecurityWarning

from augurium.access.access import Access, TokenRules
from augurium.access.gateway import Gateway
from augurium.access.jwks import usable_keys
from augurium.access.ledger import Ledger
from augurium.access.principal import Principal
from augurium.access.scopes import Scope
from augurium.core.errors import PermissionDenied, Unauthenticated, Unprocessable

NOW = 1_800_000_000.0
SIGNERS: dict[str, Any] = {
    "RS256": jwk.RSAKey.generate_key(2048),
    "ES256": jwk.ECKey.generate_key("P-256"),
    "EdDSA": jwk.OKPKey.generate_key("Ed25519"),
}
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example",
    "aud": "augurium",
    "sub": "alice",
    "exp": NOW + 300,
    "scope": "openid augurium:predict read",
}
RULES = TokenRules(
    issuer="https://login.example", audience="augurium", algorithms=("RS256", "ES256", "EdDSA")
)
Sign = Callable[..., str]


def public_keys() -> str:
    keys = [key.as_dict(private=False, kid=name, use="sig") for name, key in SIGNERS.items()]
    return usable_keys(json.dumps({"keys": keys}).encode())


JWKS = public_keys()


def signed(algorithm: str = "ES256", header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with these claims changed; None takes one out."""
    merged = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    full = {"alg": algorithm, "kid": algorithm} | (header or {})
    head = {name: value for name, value in full.items() if value is not None}
    with pytest.warns(SecurityWarning) if algorithm == "EdDSA" else _nothing():
        return jwt.encode(head, merged, SIGNERS[algorithm], algorithms=[algorithm])


class _nothing:  # noqa: N801 - stands where a context manager is wanted
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def gateway(ledger: Ledger) -> Gateway:
    gateway = Gateway(ledger, lambda: NOW)
    gateway.renew(Access(tokens=RULES, jwks=JWKS))
    return gateway


def believed(gateway: Gateway, token: str) -> Principal:
    return gateway.authenticate(f"Bearer {token}")


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_token_of_the_issuer_is_believed(gateway: Gateway, algorithm: str) -> None:
    caller = believed(gateway, signed(algorithm))

    assert caller.name == "token:alice"
    assert caller.scopes == {Scope.PREDICT, Scope.READ}


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": NOW - 31},
        {"exp": -1},
        {"exp": 0},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": [NOW + 300]},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"iss": None},
        {"iss": "https://evil.example"},
        {"aud": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 201},
        {"sub": "line\nbreak"},
    ],
    ids=str,
)
def test_a_token_with_claims_that_do_not_hold_is_refused(
    gateway: Gateway, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        believed(gateway, signed(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 300.5},
        {"exp": NOW - 20},
        {"nbf": NOW + 20},
        {"aud": ["another", "augurium"]},
        {"iat": NOW - 1e6},
    ],
    ids=str,
)
def test_the_clock_of_the_issuer_may_be_a_little_off(
    gateway: Gateway, changes: dict[str, Any]
) -> None:
    assert believed(gateway, signed(**changes))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": "k" * 10_240},
        {"kid": None},
        {"typ": "logout+jwt"},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
    ],
    ids=str,
)
def test_a_token_with_a_header_that_leads_elsewhere_is_refused(
    gateway: Gateway, header: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        believed(gateway, signed(header=header))


def test_a_token_that_brings_its_own_key_is_refused(gateway: Gateway) -> None:
    own = jwk.ECKey.generate_key("P-256")
    header = {"alg": "ES256", "jwk": own.as_dict(private=False)}
    token = jwt.encode(header, CLAIMS, own, algorithms=["ES256"])

    with pytest.raises(Unauthenticated):
        believed(gateway, token)


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS256", "", None, 7, ["ES256"]])
def test_a_token_that_is_not_signed_as_agreed_is_refused(
    gateway: Gateway, algorithm: object
) -> None:
    head = encoded({"alg": algorithm, "kid": "ES256", "typ": "JWT"})

    for signature in ("", encoded("x")):
        with pytest.raises(Unauthenticated):
            believed(gateway, f"{head}.{encoded(CLAIMS)}.{signature}")


def test_a_public_key_is_no_shared_secret(gateway: Gateway) -> None:
    signed_part = f"{encoded({'alg': 'HS256', 'kid': 'RS256'})}.{encoded(CLAIMS)}"
    secret = SIGNERS["RS256"].as_pem(private=False)
    signature = hmac.new(secret, signed_part.encode(), "sha256").digest()
    text = base64.urlsafe_b64encode(signature).decode().rstrip("=")

    with pytest.raises(Unauthenticated):
        believed(gateway, f"{signed_part}.{text}")


@pytest.mark.parametrize(
    "critical", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}]
)
def test_a_header_that_must_be_understood_is_refused(
    gateway: Gateway, critical: dict[str, Any]
) -> None:
    head, payload, signature = signed().split(".")
    changed = {"alg": "ES256", "kid": "ES256"} | critical

    with pytest.raises(Unauthenticated):
        believed(gateway, f"{encoded(changed)}.{payload}.{signature}")
    assert head


def test_a_signature_of_zeros_is_refused(gateway: Gateway) -> None:
    head, payload, _ = signed().split(".")
    zeros = base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")

    with pytest.raises(Unauthenticated):
        believed(gateway, f"{head}.{payload}.{zeros}")


def test_changed_claims_are_refused(gateway: Gateway) -> None:
    head, _, signature = signed().split(".")

    with pytest.raises(Unauthenticated):
        believed(gateway, f"{head}.{encoded(CLAIMS | {'scope': 'admin'})}.{signature}")


def test_a_long_token_is_not_looked_at(gateway: Gateway) -> None:
    with pytest.raises(Unauthenticated):
        believed(gateway, signed(padding="x" * 9000))


@pytest.mark.parametrize("text", ["a.b.c", "..", "e30.e30.", "💥.💥.💥", "W10.W10.W10", "." * 100])
def test_what_is_no_token_is_refused(gateway: Gateway, text: str) -> None:
    with pytest.raises(Unauthenticated):
        believed(gateway, text)


def test_an_unknown_signer_makes_control_look_for_new_keys(
    gateway: Gateway, ledger: Ledger
) -> None:
    assert ledger.signer_wanted_at == 0
    with pytest.raises(Unauthenticated):
        believed(gateway, signed(header={"kid": "next-year"}))

    assert ledger.signer_wanted_at == NOW


def test_new_keys_of_the_issuer_are_taken_over(gateway: Gateway) -> None:
    only = {"keys": [SIGNERS["RS256"].as_dict(private=False, kid="RS256")]}
    gateway.renew(Access(tokens=RULES, jwks=usable_keys(json.dumps(only).encode())))

    with pytest.raises(Unauthenticated):
        believed(gateway, signed("ES256"))
    assert believed(gateway, signed("RS256", {"kid": None}))


def test_a_token_ends_when_it_expires_though_it_was_remembered(ledger: Ledger) -> None:
    now = [NOW]
    gateway = Gateway(ledger, lambda: now[0])
    gateway.renew(Access(tokens=RULES, jwks=JWKS))
    token = signed()
    believed(gateway, token)
    now[0] = NOW + 331

    with pytest.raises(Unauthenticated):
        believed(gateway, token)


def test_a_token_without_scopes_may_nothing(gateway: Gateway) -> None:
    with pytest.raises(PermissionDenied):
        gateway.admit(f"Bearer {signed(scope='openid profile')}", "infer")


@pytest.mark.parametrize(
    ("rules", "claims", "scopes"),
    [
        ({"scopes_claim": "permissions"}, {"permissions": ["deploy"]}, {Scope.DEPLOY, Scope.READ}),
        (
            {"scopes_claim": "realm_access.roles"},
            {"realm_access": {"roles": ["augurium.predict", 7]}},
            {Scope.PREDICT},
        ),
        ({"scopes_claim": "https://a.example/s"}, {"https://a.example/s": "read"}, {Scope.READ}),
        (
            {"scopes_claim": "groups", "scope_map": {"ml-engineers": "predict"}},
            {"groups": ["ml-engineers", "staff"]},
            {Scope.PREDICT},
        ),
        ({"scopes_claim": "scope.deep"}, {}, set()),
    ],
)
def test_scopes_come_from_the_claim_that_the_settings_name(
    ledger: Ledger, rules: dict[str, Any], claims: dict[str, Any], scopes: set[Scope]
) -> None:
    gateway = Gateway(ledger, lambda: NOW)
    changed = TokenRules(
        issuer=RULES.issuer, audience=RULES.audience, algorithms=RULES.algorithms, **rules
    )
    gateway.renew(Access(tokens=changed, jwks=JWKS))

    assert believed(gateway, signed(**claims)).scopes == scopes


def test_models_come_from_their_claim_and_no_claim_means_none(ledger: Ledger) -> None:
    rules = TokenRules(
        issuer=RULES.issuer,
        audience=RULES.audience,
        algorithms=RULES.algorithms,
        models_claim="models",
    )
    gateway = Gateway(ledger, lambda: NOW)
    gateway.renew(Access(tokens=rules, jwks=JWKS))
    caller = believed(gateway, signed(models=["fraud-*"]))

    assert caller.sees("fraud-eu")
    assert not caller.sees("churn")
    useless: list[Any] = [None, [], "bad/pattern"]
    for models in useless:
        with pytest.raises(Unauthenticated):
            believed(gateway, signed(models=models))


def test_only_public_signing_keys_of_an_issuer_are_kept() -> None:
    private = SIGNERS["RS256"].as_dict(private=True, kid="a")
    secret = jwk.OctKey.generate_key(256).as_dict(private=True)
    sealing = SIGNERS["ES256"].as_dict(private=False, use="enc")
    kept = json.loads(usable_keys(json.dumps({"keys": [private, secret, sealing]}).encode()))

    assert [set(key) for key in kept["keys"]] == [{"kty", "kid", "n", "e"}]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": {}}', b'{"keys": [1]}', b"[" * 99_999, b"\xff"],
)
def test_what_is_no_key_set_is_refused(content: bytes) -> None:
    with pytest.raises(Unprocessable, match="JWKS"):
        usable_keys(content)


def test_a_key_that_cannot_be_read_takes_none_of_the_others_with_it(ledger: Ledger) -> None:
    broken = {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}
    good = SIGNERS["ES256"].as_dict(private=False, kid="ES256")
    gateway = Gateway(ledger, lambda: NOW)
    jwks = usable_keys(json.dumps({"keys": [broken, {"kty": "EC"}, good]}).encode())
    gateway.renew(Access(tokens=RULES, jwks=jwks))

    assert believed(gateway, signed())


def test_a_verified_token_is_not_verified_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[bytes] = []

    def verify(token: bytes, *rest: Any) -> Any:
        verified.append(token)
        return deserialize(token, *rest)

    deserialize = jws.deserialize_compact
    monkeypatch.setattr(jws, "deserialize_compact", verify)
    token = signed("RS256")
    for _ in range(1000):
        believed(gateway, token)

    assert verified == [token.encode()]
