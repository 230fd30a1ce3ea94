"""From where one may speak to the management API: by a known host, from no page of another origin.

Without keys a browser on this machine is the way in for strangers: DNS rebinding brings a foreign
Host, cross-site requests a foreign Origin. Both are refused, and also with keys.
"""

from collections.abc import Collection
from ipaddress import ip_address

from augurium.control.errors import HttpRefusal
from augurium.core.errors import InvalidArgument, PermissionDenied

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
Headers = list[tuple[bytes, bytes]]


def check_origin(method: str, headers: Headers, hosts: Collection[str] = ()) -> None:
    """Refuses a foreign Host, and for unsafe methods a foreign Origin.

    `hosts` are the names that are no strangers besides this machine's own; `*` among them means
    any. Raises InvalidArgument for no or two Hosts, HttpRefusal 421 for a foreign one,
    PermissionDenied for a foreign Origin.
    """
    host = _host(headers)
    if not (_is_loopback(host) or "*" in hosts or _without_port(host) in hosts):
        raise HttpRefusal(
            421,
            "the Host header does not name this machine; use http://127.0.0.1 or http://localhost,"
            " or add the name to access.hosts",
        )
    if method in SAFE_METHODS:
        return
    for origin in _values(headers, b"origin"):
        if origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise PermissionDenied(
                "the Origin header names another site; changes are accepted from this origin only"
            )


def _host(headers: Headers) -> str:
    hosts = _values(headers, b"host")
    if len(hosts) != 1:
        raise InvalidArgument(f"expected exactly one Host header, got {len(hosts)}")
    return hosts[0].lower()


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _is_loopback(host: str) -> bool:
    name = _without_port(host)
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        name, closing, rest = host[1:].partition("]")
        return name if closing and _is_port(rest) else ""
    name, colon, port = host.partition(":")
    return name if _is_port(colon + port) else ""


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit())
