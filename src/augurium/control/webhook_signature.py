"""How a webhook is signed, so that its receiver knows that it is ours, whole and not an old one.

Source: the Standard Webhooks specification: the signature is HMAC-SHA256 over id, timestamp and
body, joined by full stops, in base64 behind the word `v1`.
"""

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

from augurium.core.errors import InvalidArgument

PREFIX = "whsec_"
LEAST_BYTES = 16


def read_secret(file: str) -> bytes:
    """The secret in a file; empty if no file is named. Raises InvalidArgument."""
    if not file:
        return b""
    try:
        text = Path(file).read_text("utf-8").strip()
        secret = _decoded(text)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise InvalidArgument(
            f"webhooks.secret_file {file} cannot be read: {error}; expected text, or {PREFIX} and"
            " base64"
        ) from error
    if len(secret) < LEAST_BYTES:
        raise InvalidArgument(
            f"the secret in {file} has {len(secret)} bytes; expected at least {LEAST_BYTES}"
        )
    return secret


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _decoded(text: str) -> bytes:
    if text.startswith(PREFIX):
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    return text.encode()
