"""The text of an API key: `aug_live_KEYID_SECRET_CHECKSUM`.

The prefix lets scanners for leaked secrets find it, the id finds its record, and the checksum
refuses a mistyped key without a look-up.
"""

import hashlib
import secrets
import zlib
from typing import NamedTuple

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "aug"
ID_LENGTH = 12
SECRET_LENGTH = 32  # 190 bits, so a plain SHA-256 of it cannot be searched
CHECKSUM_LENGTH = 6
LONGEST_KEY = 128


class KeyText(NamedTuple):
    """A key as its owner holds it. `digest` is all that is stored of the secret."""

    id: str
    digest: bytes
    text: str


def new_key_text(environment: str) -> KeyText:
    """A key that never was."""
    key_id, secret = _random(ID_LENGTH), _random(SECRET_LENGTH)
    body = f"{PREFIX}_{environment}_{key_id}_{secret}"
    return KeyText(key_id, _digest(secret), f"{body}_{_checksum(body)}")


def read_key_text(text: str) -> KeyText | None:
    """The parts of a key's text; None if it is none."""
    if len(text) > LONGEST_KEY or not text.isascii():
        return None
    body, _, checksum = text.rpartition("_")
    parts = body.split("_")
    if len(parts) != 4 or parts[0] != PREFIX or checksum != _checksum(body):
        return None
    return KeyText(parts[2], _digest(parts[3]), text)


def looks_like_a_key(text: str) -> bool:
    """Whether a text holds what may be a key of ours."""
    return f"{PREFIX}_" in text and text.count("_") >= 4


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
