"""Access: all that a process must know to tell who calls, as control pushes it to the engines."""

import msgspec

from augurium.access.keys import LiveKey
from augurium.access.scopes import Scope


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens are believed, and what their claims allow.

    `scopes_claim` and `models_claim` may be paths such as `realm_access.roles`; an empty
    `models_claim` gives every token all models. `scope_map` turns the issuer's words into ours.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    leeway_s: float = 30.0
    scopes_claim: str = "scope"
    scope_map: dict[str, str] = {}
    models_claim: str = ""


class CertificateRule(msgspec.Struct, frozen=True):
    """What callers may do whose certificate has a name that fits; `*` stands for any characters.

    A `name` with a colon is for URIs, one without for DNS names.
    """

    name: str
    scopes: tuple[Scope, ...]


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Keys by digest, the rules for tokens with the issuer's public keys (a JWKS), certificates.

    `rate` and `burst` are for credentials that have none of their own.
    """

    keys: tuple[LiveKey, ...] = ()
    tokens: TokenRules | None = None
    jwks: str = ""
    certificates: tuple[CertificateRule, ...] = ()
    rate: float = 0.0
    burst: int = 0
