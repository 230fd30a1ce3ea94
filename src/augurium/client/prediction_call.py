"""A prediction call: where it goes, what its headers ask, and what the reply's headers say."""

from collections.abc import Mapping
from typing import Any, TypedDict
from urllib.parse import quote

from augurium.core.errors import InvalidArgument

HEADERS = {
    "unit": "augurium-unit",
    "request_id": "x-request-id",
    "priority": "augurium-priority",
}
STREAM_TIMEOUT_S = 600.0
TIMEOUT_HEADER = "augurium-timeout-ms"


class CallOptions(TypedDict, total=False):
    """Which version answers, and how long it may take.

    `version` or `alias`, not both; without either the model's traffic policy decides. `unit` is who
    or what is kept on one variant. A call that takes longer than `timeout_ms` is refused. With
    `priority` `batch` a call is refused before others when there are too many, with `critical`
    after them.
    """

    version: int | None
    alias: str | None
    timeout_ms: float | None
    unit: str
    request_id: str
    priority: str


def model_path(name: str, options: CallOptions) -> str:
    """The path of a model, a version or an alias. Raises InvalidArgument when both are named."""
    check_one_named(name, options)
    version, alias = options.get("version"), options.get("alias")
    model = quote(f"{name}@{alias}" if alias is not None else name, safe="@")
    return f"/models/{model}" if version is None else f"/models/{model}/versions/{version}"


def check_one_named(name: str, options: CallOptions) -> None:
    """Raises InvalidArgument when a version and an alias are named."""
    version, alias = options.get("version"), options.get("alias")
    if version is not None and alias is not None:
        raise InvalidArgument(
            f"both version {version} and alias '{alias}' of '{name}' are named; name one of them"
        )


def call_headers(options: CallOptions) -> dict[str, str]:
    """The request's headers, or metadata, for what was asked; its deadline the transport tells.

    Raises InvalidArgument for text that no header can carry.
    """
    asked = {option: options.get(option) for option in HEADERS}
    given = {option: str(value) for option, value in asked.items() if value is not None}
    for option, value in given.items():
        if not (value.isascii() and value.isprintable()):
            raise InvalidArgument(f"{option} is {value[:80]!r}; expected printable ASCII")
    return {HEADERS[option]: value for option, value in given.items()}


def timeout_s(options: CallOptions, usual_s: float) -> float:
    """How long the whole call may take. Raises InvalidArgument for no positive number."""
    timeout_ms = options.get("timeout_ms")
    if timeout_ms is None:
        return usual_s
    if not 0 < timeout_ms < float("inf"):
        raise InvalidArgument(f"timeout_ms is {timeout_ms}; expected a positive number")
    return timeout_ms / 1000


def reply_fields(headers: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a Reply, from the reply's headers."""
    version = headers.get("augurium-version", "")
    return {
        "version": int(version) if version.isdecimal() else None,
        "variant": headers.get("augurium-variant"),
        "cache": headers.get("augurium-cache"),
        "degraded": headers.get("augurium-degraded"),
        "degraded_step": headers.get("augurium-degraded-step"),
        "degraded_rows": headers.get("augurium-degraded-rows"),
        "request_id": headers.get("x-request-id"),
    }
