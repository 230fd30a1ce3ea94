"""Bearer tokens of an identity provider: JSON Web Tokens (RFC 7519, as RFC 8725 advises)."""

import json
import math
import warnings
from collections.abc import Iterable
from typing import Any

import structlog
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, KeySet

from augurium.access.access import TokenRules
from augurium.access.principal import Principal
from augurium.access.scopes import Scope
from augurium.access.signer import UnknownSigner
from augurium.core.errors import InvalidArgument, Unauthenticated

LONGEST_TOKEN = 8 * 1024
LONGEST_NAME = 200
LATEST_TIME = 2.0**33  # the year 2242: beyond it a claim is a mistake or an attempt
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# a header that brings its own key, or one we would have to understand
REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
log = structlog.get_logger()
REFUSED_FOR = (JoseError, InvalidArgument, ValueError, TypeError, KeyError, RecursionError)
OUR_SCOPES = frozenset(scope.value for scope in Scope)
OUR_PREFIXES = ("augurium:", "augurium.", "augurium/")


class TokenVerifier:
    """Verifies tokens of one issuer with its public keys; needs no network."""

    def __init__(self, rules: TokenRules, jwks: str) -> None:
        self._rules = rules
        also = {"Ed25519"} if "EdDSA" in rules.algorithms else set()
        self._algorithms = {*rules.algorithms, *also}
        self._keys = _imported(jwks) if jwks else []

    def principal(self, token: str, now: float) -> Principal:
        """Who the token speaks for, at `now` seconds of the wall clock.

        Raises Unauthenticated, and UnknownSigner when newer keys of the issuer might help.
        """
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise Unauthenticated("not a token")
        try:
            claims = self._claims(token)
            return self._believed(claims, now)
        except REFUSED_FOR as error:
            raise Unauthenticated("not a valid token") from error

    def _claims(self, token: str) -> dict[str, Any]:
        unverified = jws.extract_compact(token.encode())
        header = unverified.headers()
        algorithm = header["alg"]
        if algorithm not in self._algorithms or not REFUSED_HEADERS.isdisjoint(header):
            raise Unauthenticated("a token of another kind")
        if str(header.get("typ", "JWT")).lower() not in TYPES:
            raise Unauthenticated("a token for another purpose")
        key = self._key(header.get("kid"), algorithm)
        with warnings.catch_warnings():
            # the library warns of the name EdDSA (RFC 9864), which issuers still use
            warnings.simplefilter("ignore", SecurityWarning)
            verified = jws.deserialize_compact(token.encode(), key, [algorithm])
        claims: dict[str, Any] = json.loads(verified.payload or b"")
        if not isinstance(claims, dict):
            raise Unauthenticated("not claims")
        return claims

    def _key(self, kid: object, algorithm: str) -> Key:
        fitting = [key for key in self._keys if key.get("alg") in (None, algorithm)]
        if kid is None and len(fitting) == 1:
            return fitting[0]
        for key in fitting:
            if kid is not None and key.kid == kid:
                return key
        raise UnknownSigner("a key that is not known")

    def _believed(self, claims: dict[str, Any], now: float) -> Principal:
        rules = self._rules
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != rules.issuer or rules.audience not in audiences:
            raise Unauthenticated("for another audience, or of another issuer")
        expires_at = _time(claims, "exp") + rules.leeway_s
        latest_start = now + rules.leeway_s
        starts = [_time(claims, claim) for claim in ("nbf", "iat") if claim in claims]
        if expires_at <= now or any(start > latest_start for start in starts):
            raise Unauthenticated("not valid now")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject.encode()) <= LONGEST_NAME:
            raise Unauthenticated("of nobody")
        if not subject.isprintable():
            raise Unauthenticated("of somebody whose name cannot be written down")
        name = f"token:{subject}"
        return Principal(name, name, self._scopes(claims), self._models(claims), 0.0, 0, expires_at)

    def _scopes(self, claims: dict[str, Any]) -> list[Scope]:
        """The scopes among the issuer's words; words that are not ours are left aside."""
        found = []
        for word in _words(claims, self._rules.scopes_claim):
            ours = self._rules.scope_map.get(word, word)
            for prefix in OUR_PREFIXES:
                ours = ours.removeprefix(prefix)
            if ours in OUR_SCOPES:
                found.append(Scope(ours))
        return found

    def _models(self, claims: dict[str, Any]) -> Iterable[str]:
        if not self._rules.models_claim:
            return ()
        found = _words(claims, self._rules.models_claim)
        if not found:
            raise Unauthenticated("for no model")
        return found


def _imported(jwks: str) -> list[Key]:
    """The keys of a set; one that cannot be read takes none of the others with it."""
    found: list[Key] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        for key in json.loads(jwks)["keys"]:
            try:
                found.extend(KeySet.import_key_set({"keys": [key]}).keys)
            except REFUSED_FOR as error:
                log.warning("a key of the issuer is left aside", reason=type(error).__name__)
    return found


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"no {name}")
    if not (math.isfinite(value) and 0 <= value <= LATEST_TIME):
        raise Unauthenticated(f"an impossible {name}")
    return float(value)


def _words(claims: dict[str, Any], path: str) -> list[str]:
    """The texts of a claim: a list of them, or one text with spaces (RFC 8693, section 4.2)."""
    # a claim may have a dot in its name, as URLs do
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
