"""The gateway: tells who calls, whether they may, and whether they call too often.

Every door of a node asks it, for every request. It knows no transport and needs no network.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_plus

from augurium.access.access import Access
from augurium.access.key_text import looks_like_a_key, read_key_text
from augurium.access.keys import LiveKey
from augurium.access.ledger import Ledger
from augurium.access.patience import Patience
from augurium.access.patterns import covers
from augurium.access.principal import Principal
from augurium.access.rate import Quota, Rates
from augurium.access.rights import DATA_PLANE, PUBLIC, Need, denied
from augurium.access.signer import UnknownSigner
from augurium.core.errors import PermissionDenied, Unauthenticated

MOST_REMEMBERED = 8192
LONGEST_KEY_HEADER = 160
NOTED_EVERY_S = 60.0
QUERY_NAMES = frozenset({"key", "api_key", "apikey", "access_token", "token", "authorization"})
REFUSAL = (
    "no valid credential; send the header `Authorization: Bearer KEY` with a key that"
    " `augurium keys create` made and that is neither expired nor revoked"
)
_NOBODY = bytes(32)
Verify = Callable[[str, float], Principal]


class Admission(NamedTuple):
    """Who was let in, and what is left of their rate if they have one."""

    caller: Principal
    quota: Quota | None


class Gateway:
    """Holds the newest `Access`. Not for several threads at once: one per event loop."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self._ledger = ledger
        self._rates = Rates(ledger)
        self._clock = clock
        self._access = Access()
        self._keys: dict[str, tuple[bytes, Principal]] = {}
        self._tokens: Verify | None = None
        self._known: dict[str | bytes, Principal] = {}

    def live_keys(self) -> tuple[LiveKey, ...]:
        """The keys that are valid now."""
        return self._access.keys

    def renew(self, access: Access) -> None:
        """Takes over what is valid from now on; everyone is looked at anew."""
        if access == self._access:
            return
        # what can fail comes first: a broken key set leaves all as it was
        tokens = _verifier(access)
        self._access, self._tokens = access, tokens
        self._keys = {key.id: (key.digest, key.principal()) for key in access.keys}
        self._known.clear()

    def admit(
        self, header: str | None, operation: str, names: tuple[str, ...] = ()
    ) -> Admission | None:
        """Lets a caller of the data plane in; None for an operation that is open to everyone.

        `header` is Authorization, `names` those of the caller's certificate.
        Raises Unauthenticated, PermissionDenied, RateLimited.
        """
        caller = self.check(header, operation, names)
        return None if caller is None else self._counted(caller)

    def check(
        self, header: str | None, operation: str, names: tuple[str, ...] = ()
    ) -> Principal | None:
        """As `admit`, without counting the call against the caller's rate."""
        if DATA_PLANE.get(operation) is PUBLIC:
            return None
        caller = self._caller(header, names)
        if operation not in caller.operations:
            raise _refused(operation)
        return caller

    def admit_to(self, need: Need, header: str | None, names: tuple[str, ...] = ()) -> Admission:
        """Lets a caller of the management API in. Raises as `admit`."""
        caller = self._caller(header, names)
        if need.scopes.isdisjoint(caller.scopes):
            raise denied(need)
        if need.every_model and caller.models:
            raise PermissionDenied("this shows every model; it needs a credential for all of them")
        return self._counted(caller)

    def knows(self, header: str | None, names: tuple[str, ...] = ()) -> bool:
        """Whether the credential is good: for whoever must decide before a request is complete."""
        try:
            self._caller(header, names)
        except Unauthenticated:
            return False
        return True

    def authenticate(self, header: str | None, names: tuple[str, ...] = ()) -> Principal:
        """Who calls. Raises Unauthenticated, with the same words for every reason."""
        return self._caller(header, names)

    def _caller(self, header: str | None, names: tuple[str, ...]) -> Principal:
        now = self._clock()
        caller = self._known.get(header) if header is not None else None
        if caller is None or caller.expires_at <= now:
            caller = self._identified(header, names, now)
        if now - caller.noted_at > NOTED_EVERY_S:
            caller.noted_at = now
            self._ledger.set_used(caller.identity, now)
        return caller

    def _counted(self, caller: Principal) -> Admission:
        return Admission(caller, self._rates.spend(caller) if caller.rate else None)

    def _identified(self, header: str | None, names: tuple[str, ...], now: float) -> Principal:
        if header is None:
            caller = self._of_certificate(names)
            if caller is None:
                raise Unauthenticated(REFUSAL)
            return caller
        # a token may be long; its digest is remembered instead
        remembered = header if len(header) <= LONGEST_KEY_HEADER else _digest(header)
        caller = self._known.get(remembered)
        if caller is None or caller.expires_at <= now:
            caller = self._limited(self._of_header(header, now))
            if caller.expires_at <= now:
                raise Unauthenticated(REFUSAL)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[remembered] = caller
        return caller

    def _of_header(self, header: str, now: float) -> Principal:
        scheme, _, credential = header.strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated(REFUSAL)
        text = read_key_text(credential)
        if text is not None:
            digest, caller = self._keys.get(text.id, (_NOBODY, None))
            if hmac.compare_digest(digest, text.digest) and caller is not None:
                return caller
        elif self._tokens is not None and credential.count(".") == 2:
            return self._of_token(self._tokens, credential, now)
        raise Unauthenticated(REFUSAL)

    def _of_token(self, verify: Verify, token: str, now: float) -> Principal:
        try:
            return verify(token, now)
        except Unauthenticated as error:
            if isinstance(error, UnknownSigner):
                self._ledger.want_signer(now)
            raise Unauthenticated(REFUSAL) from error

    def _of_certificate(self, names: tuple[str, ...]) -> Principal | None:
        for rule in self._access.certificates if names else ():
            for name in names:
                # `*` stands for any characters: a URI must not fit what is meant for a DNS name
                if (":" in name) == (":" in rule.name) and covers((rule.name,), name):
                    identity = f"certificate:{name}"
                    known = self._known.get(identity.encode())
                    if known is None:
                        known = self._limited(Principal(identity, identity, rule.scopes))
                        self._known[identity.encode()] = known
                    return known
        return None

    def _limited(self, caller: Principal) -> Principal:
        """The caller with the node's own rate, if they have none."""
        if not caller.rate:
            caller.rate, caller.burst = self._access.rate, self._access.burst
        return caller


def check_query(query: str) -> None:
    """Raises Unauthenticated for a credential in an address: addresses are logged and shared."""
    text = unquote_plus(query)
    names = {part.partition("=")[0].lower() for part in text.split("&")}
    if looks_like_a_key(text) or not QUERY_NAMES.isdisjoint(names):
        raise Unauthenticated(
            "credentials are not accepted in an address; send the header"
            " `Authorization: Bearer KEY`, and replace a key that was sent this way"
        )


def _refused(operation: str) -> PermissionDenied:
    need = DATA_PLANE.get(operation)
    if need is None:
        return PermissionDenied(f"operation '{operation}' has no rights listed, so it is refused")
    return denied(need)


def _digest(header: str) -> bytes:
    return hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()


def _verifier(access: Access) -> Verify | None:
    if access.tokens is None:
        return None
    # here, not above: only a node with an issuer needs the library
    from augurium.access.tokens import TokenVerifier

    return TokenVerifier(access.tokens, access.jwks).principal
