"""What must hold before a node lets anyone in: keys where strangers reach it, not in the clear."""

import importlib.util
import ipaddress
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from augurium.access.scopes import Scope, scope_named
from augurium.core.clock import SystemClock
from augurium.core.errors import InvalidArgument, PermissionDenied
from augurium.core.home import NodeConfig
from augurium.core.settings import AccessSettings, Settings


def secured(settings: Settings) -> Settings:
    """The settings with credentials required where the address is not this machine's own.

    Raises PermissionDenied when they would cross a network in the clear, InvalidArgument for
    settings of access that cannot work.
    """
    _check_tokens(settings.access)
    _check_certificates(settings)
    if _is_loopback(settings.node.host):
        return settings
    if not (settings.tls.enabled or settings.access.allow_plaintext):
        raise PermissionDenied(
            f"host '{settings.node.host}' is not a loopback address, and keys would cross the"
            " network in the clear. Set tls.certificate and tls.private_key; or, where a proxy in"
            " front encrypts, add --access-allow-plaintext; or use --host 127.0.0.1"
        )
    return msgspec.structs.replace(
        settings, access=msgspec.structs.replace(settings.access, required=True)
    )


def check_anyone_may_call(config: NodeConfig) -> None:
    """Raises PermissionDenied when credentials are required and nobody could have one.

    The home must be locked: this opens the registry.
    """
    access = config.settings.access
    if not access.required or access.issuer or _admin_certificates(access):
        return
    if not _admin_key(config):
        raise PermissionDenied(
            "keys are required, and there is no live key with scope admin yet. Make one with"
            f" `augurium keys create admin --scope admin --home {config.home.path}` (and --config,"
            " as here), keep what it prints, and start again"
        )


def _admin_key(config: NodeConfig) -> bool:
    # here, not above: most nodes need no database in this process
    from augurium.access.sql_key_store import SqlKeyStore
    from augurium.registry.database import open_database, registry_url

    engine = open_database(registry_url(config.settings.storage, config.home.database))
    now = datetime.now(UTC)
    try:
        known = SqlKeyStore(engine, SystemClock()).all()
        return any(key.live(now) and Scope.ADMIN in key.scopes for key in known)
    finally:
        engine.dispose()


def _admin_certificates(access: AccessSettings) -> bool:
    return any(Scope.ADMIN in scopes.split() for scopes in access.certificates.values())


def _check_tokens(access: AccessSettings) -> None:
    if not access.issuer:
        for key in ("audience", "jwks"):
            if getattr(access, key):
                raise InvalidArgument(f"access.{key} is set, but access.issuer is not; set both")
        return
    for key in ("audience", "jwks"):
        if not getattr(access, key):
            raise InvalidArgument(f"access.issuer is set, but access.{key} is not; set both")
    if importlib.util.find_spec("joserfc") is None:
        raise InvalidArgument(
            "access.issuer needs a library for tokens; install it with"
            " `pip install 'augurium[oidc]'`"
        )
    if not access.algorithms:
        raise InvalidArgument("access.algorithms is empty; name one, such as RS256")
    for word, scope in access.scope_map.items():
        try:
            scope_named(scope)
        except InvalidArgument as error:
            raise InvalidArgument(f"access.scope_map of '{word}': {error}") from error
    _check_jwks(access.jwks)


def _check_jwks(source: str) -> None:
    parts = urlsplit(source)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise InvalidArgument(
            f"access.jwks is {source}; use https, or anyone on the way could put in keys"
        )


def _check_certificates(settings: Settings) -> None:
    if settings.access.certificates and not settings.tls.client_ca:
        raise InvalidArgument(
            "access.certificates needs tls.client_ca: who signs the certificates of callers"
        )
    for name, scopes in settings.access.certificates.items():
        if not scopes.split():
            raise InvalidArgument(f"access.certificates of '{name}' names no scope")
        for scope in scopes.split():
            scope_named(scope)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
