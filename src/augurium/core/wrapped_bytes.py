"""BYTES values as `{"b64": "..."}`, the form in which TensorFlow Serving carries binary values in
JSON.

Source: TensorFlow Serving, RESTful API, "Encoding binary values".
"""

import base64
import binascii
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.core.texts import text_of

KEY = "b64"


def is_wrapped(value: Any) -> bool:
    """Whether a JSON value is an object of `b64` alone."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(KEY), str)


def unwrapped(values: Any) -> Any:
    """Texts instead of wrapped ones, in lists of any depth, bytes where these are not UTF-8; all
    else as it is.

    Raises InvalidArgument for what is not Base64.
    """
    if isinstance(values, list):
        return [unwrapped(value) for value in values]
    return text_of(_content(values[KEY])) if is_wrapped(values) else values


def wrapped(values: Any) -> Any:
    """Every text wrapped, in lists of any depth."""
    if isinstance(values, list):
        return [wrapped(value) for value in values]
    content = values if isinstance(values, bytes) else str(values).encode()
    return {KEY: base64.b64encode(content).decode()}


def bytes_wrapped(values: Any) -> Any:
    """What is not UTF-8 wrapped, in lists of any depth; all else as it is."""
    if isinstance(values, list):
        return [bytes_wrapped(value) for value in values]
    return wrapped(values) if isinstance(values, bytes) else values


def _content(encoded: str) -> bytes:
    try:
        # as TensorFlow Serving, also without the padding
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f'the value of "{KEY}" is not Base64: {error}') from error
