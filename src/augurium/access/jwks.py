"""An issuer's public keys (JSON Web Key Set, RFC 7517): what of them may sign tokens for us."""

from typing import Any

import msgspec

from augurium.core.errors import Unprocessable

MAX_BYTES = 256 * 1024
MAX_KEYS = 64
PUBLIC_PARTS = {
    "RSA": frozenset({"n", "e"}),
    "EC": frozenset({"crv", "x", "y"}),
    "OKP": frozenset({"crv", "x"}),
}
KEPT = frozenset({"kty", "kid", "alg", "use"})


def usable_keys(content: bytes) -> str:
    """The signing keys of a JWKS as JSON: public parts only, no shared secrets, no certificates.

    Raises Unprocessable for what is no JWKS, or has no key left.
    """
    if len(content) > MAX_BYTES:
        raise Unprocessable(f"the JWKS has {len(content)} bytes; at most {MAX_BYTES} are read")
    try:
        found = msgspec.json.decode(content)
        keys = [_public(key) for key in found["keys"][:MAX_KEYS] if _signs(key)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, KeyError) as error:
        raise Unprocessable('the JWKS is not JSON like {"keys": [{"kty": ...}]}') from error
    if not keys:
        raise Unprocessable("the JWKS has no public key that signs (RSA, EC or OKP)")
    return msgspec.json.encode({"keys": keys}).decode()


def _signs(key: Any) -> bool:
    if not isinstance(key, dict):
        return False
    parts = PUBLIC_PARTS.get(str(key.get("kty")))
    return parts is not None and parts <= key.keys() and key.get("use", "sig") == "sig"


def _public(key: dict[str, Any]) -> dict[str, Any]:
    wanted = KEPT | PUBLIC_PARTS[key["kty"]]
    return {name: value for name, value in key.items() if name in wanted}
