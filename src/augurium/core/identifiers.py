"""Names and ids: what a model, a version, an alias and a request may be called."""

import re
import secrets
from typing import NamedTuple

from augurium.core.errors import InvalidArgument

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
MAX_VERSION = 2**31 - 1
MAX_REQUEST_ID_LENGTH = 256
# what names a request: a header over REST, metadata and a parameter of the answer over gRPC
REQUEST_ID = "x-request-id"
RESERVED_MODEL_NAMES = frozenset({"stats"})
# a folder with such a name cannot be unpacked on Windows
DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)


class ModelRef(NamedTuple):
    """Which model, and optionally which version or alias of it, a caller asked for."""

    name: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}@{self.version}"
        return f"{self.name}@{self.alias}" if self.alias else self.name


def model_ref(text: str, version: str | None = None) -> ModelRef:
    """Reads `name`, `name@alias` or `name@3`; `version` is a version segment given beside the name.

    Raises InvalidArgument when a version is given twice or is not a positive integer.
    """
    name, _, qualifier = text.partition("@")
    if version:
        if qualifier:
            raise InvalidArgument(
                f"'{text}' names a version or alias and the request names version '{version}'"
                " as well; give one of them"
            )
        return ModelRef(name, version_number(version))
    if not qualifier:
        return ModelRef(name)
    return (
        ModelRef(name, version_number(qualifier))
        if qualifier.isdigit()
        else ModelRef(name, None, qualifier)
    )


def version_number(text: str) -> int:
    """A version is a plain positive integer without leading zeros; raises InvalidArgument
    otherwise.
    """
    if (
        not (text.isascii() and text.isdigit() and len(text) <= 10)
        or text[0] == "0"
        or int(text) > MAX_VERSION
    ):
        raise InvalidArgument(
            f"version '{text[:32]}' is not a positive integer without leading zeros, at most"
            f" {MAX_VERSION}"
        )
    return int(text)


def check_name(what: str, name: str) -> str:
    """Returns `name` if it may name a model or alias; raises InvalidArgument with the rule
    otherwise.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidArgument(
            f"{what} {name[:64]!r} is not allowed: use 1 to 128 of the characters A-Z a-z 0-9 _"
            " . -, beginning with a letter or digit"
        )
    return name


def check_model_name(name: str) -> str:
    """As `check_name`, and refuses the names that protocols or operating systems reserve."""
    if name in RESERVED_MODEL_NAMES:
        raise InvalidArgument(
            f"model name '{name}' is reserved by the Open Inference Protocol; choose another"
        )
    if name.partition(".")[0].casefold() in DEVICE_NAMES:
        raise InvalidArgument(
            f"model name '{name[:64]}' is a device name on Windows; choose another"
        )
    return check_name("model name", name)


def check_alias(alias: str) -> str:
    """As `check_name`; an alias is not a number, or it could not be told from a version."""
    if alias.isdigit():
        raise InvalidArgument(
            f"alias '{alias[:64]}' is a number; an alias needs a letter, or it could not be"
            " told from a version"
        )
    return check_name("alias", alias)


def is_request_id(text: str) -> bool:
    """A request id is at most 256 printable ASCII characters, because it is echoed in a header."""
    return len(text) <= MAX_REQUEST_ID_LENGTH and text.isascii() and text.isprintable()


def check_request_id(request_id: str) -> str:
    """Raises InvalidArgument for what `is_request_id` is not true of."""
    if not is_request_id(request_id):
        raise InvalidArgument(
            f"request id must be at most {MAX_REQUEST_ID_LENGTH} printable ASCII characters,"
            f" got {len(request_id)} characters"
        )
    return request_id


def new_id() -> str:
    """128 random bits in hexadecimal."""
    return secrets.token_hex(16)
