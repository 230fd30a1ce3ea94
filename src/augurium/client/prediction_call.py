"""A prediction call: where it goes, what its headers ask, and what the reply's headers say."""

from typing import Any, TypedDict
from urllib.parse import quote

import httpx

from augurium.core.errors import InvalidArgument


class CallOptions(TypedDict, total=False):
    """Which version answers, and how long it may take.

    `version` or `alias`, not both; without either the model's traffic policy decides. `unit` is who
    or what is kept on one variant. A call that takes longer than `timeout_ms` is refused.
    """

    version: int | None
    alias: str | None
    timeout_ms: float | None
    unit: str
    request_id: str


def model_path(name: str, options: CallOptions) -> str:
    """The path of a model, a version or an alias. Raises InvalidArgument when both are named."""
    version, alias = options.get("version"), options.get("alias")
    if version is not None and alias is not None:
        raise InvalidArgument(
            f"both version {version} and alias '{alias}' of '{name}' are named; name one of them"
        )
    model = quote(f"{name}@{alias}" if alias is not None else name, safe="@")
    return f"/models/{model}" if version is None else f"/models/{model}/versions/{version}"


def call_headers(options: CallOptions) -> dict[str, str]:
    """The request headers for what was asked."""
    asked = {
        "augurium-timeout-ms": options.get("timeout_ms"),
        "augurium-unit": options.get("unit"),
        "x-request-id": options.get("request_id"),
    }
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in asked.items()
        if value is not None
    }


def http_timeout_s(options: CallOptions, timeout_s: float) -> float:
    """How long to wait for the answer: the server refuses first, with a reason, if it can."""
    timeout_ms = options.get("timeout_ms")
    return timeout_s if timeout_ms is None else max(timeout_s, timeout_ms / 1000)


def reply_fields(response: httpx.Response) -> dict[str, Any]:
    """The fields of a Reply, from the reply's headers."""
    version = response.headers.get("augurium-version", "")
    return {
        "version": int(version) if version.isdecimal() else None,
        "variant": response.headers.get("augurium-variant"),
        "cache": response.headers.get("augurium-cache"),
        "degraded": response.headers.get("augurium-degraded"),
        "request_id": response.headers.get("x-request-id"),
    }
