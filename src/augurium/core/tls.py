"""TLS for the ports of a node: files are checked before anything starts, and read again when they
change.
"""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import structlog

from augurium.core.errors import InvalidArgument
from augurium.core.settings import TlsSettings

# RFC 9325, section 3.1.1: nothing older
OLDEST_VERSION = ssl.TLSVersion.TLSv1_2
# which kinds of names count, and whether a colon is part of them
KINDS = {"DNS": False, "URI": True}

log = structlog.get_logger()


class ServerTls:
    """The TLS side of a port that speaks `protocol`, `http/1.1` or `h2` (RFC 7301). `context` stays
    the same object when its certificate is replaced.

    Raises InvalidArgument, naming the setting, for files that are missing, do not belong together,
    are encrypted or expired.
    """

    def __init__(self, settings: TlsSettings, protocol: str = "http/1.1") -> None:
        self._settings = settings
        self.context = _context(settings)
        self.context.set_alpn_protocols([protocol])
        self._seen = _stamps(settings)

    def reload(self) -> bool:
        """Takes a replaced certificate for new connections; one that does not fit changes nothing.

        Returns whether there was one. To be called on the thread of the handshakes, which must not
        see half of a replacement. `tls.client_ca` is read at the start only.
        """
        found = _stamps(self._settings)
        if found == self._seen:
            return False
        self._seen = found
        try:
            _context(self._settings)
        except InvalidArgument as error:
            log.error("TLS certificate not replaced", reason=str(error))
            return False
        self.context.load_cert_chain(self._settings.certificate, self._settings.private_key)
        log.info("TLS certificate replaced", file=self._settings.certificate)
        return True


def server_tls(settings: TlsSettings, protocol: str = "http/1.1") -> ServerTls | None:
    """What a port needs to speak TLS; None when the node does not. Raises as `ServerTls`."""
    if settings.enabled:
        return ServerTls(settings, protocol)
    for key in ("private_key", "client_ca"):
        if getattr(settings, key):
            raise InvalidArgument(f"tls.{key} is set, but tls.certificate is not; set both")
    return None


def certificate_names(certificate: dict[str, Any] | None) -> tuple[str, ...]:
    """The names in a verified certificate, as `SSLSocket.getpeercert` gives it.

    They are the DNS names and URIs among its subject alternative names (RFC 5280, section 4.2.1.6).
    """
    return _usable_names((certificate or {}).get("subjectAltName", ()))


def _usable_names(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    # a colon tells URIs from DNS names wherever names go, so no other name may have one
    return tuple(value for kind, value in names if kind in KINDS and (":" in value) == KINDS[kind])


def _context(settings: TlsSettings) -> ssl.SSLContext:
    for key in ("certificate", "private_key", "client_ca"):
        _check_file(key, getattr(settings, key), required=key != "client_ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST_VERSION
    try:
        context.load_cert_chain(settings.certificate, settings.private_key, _no_password)
    except ssl.SSLError as error:
        raise InvalidArgument(
            f"tls.certificate {settings.certificate} and tls.private_key {settings.private_key} "
            f"cannot be used: {_reason(error)}; give a PEM certificate and the key it was made with"
        ) from error
    _check_validity(settings.certificate)
    if settings.client_ca:
        _trust(context, settings)
    return context


def _trust(context: ssl.SSLContext, settings: TlsSettings) -> None:
    try:
        context.load_verify_locations(settings.client_ca)
    except ssl.SSLError as error:
        raise InvalidArgument(
            f"tls.client_ca {settings.client_ca} cannot be used: {_reason(error)}; give PEM "
            "certificates"
        ) from error
    required = settings.client_certificates == "required"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL


def _check_file(key: str, name: str, required: bool) -> None:
    if not name:
        if required:
            raise InvalidArgument(f"tls.{key} is not set; tls.certificate needs its private key")
        return
    try:
        with Path(name).open("rb"):
            pass
    except OSError as error:
        raise InvalidArgument(f"tls.{key} {name} cannot be read: {error.strerror}") from error


def _check_validity(name: str) -> None:
    # here, not above: a node without TLS does not need it
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(Path(name).read_bytes())[0]
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    now = datetime.now(UTC)
    if not begins <= now <= ends:
        raise InvalidArgument(
            f"tls.certificate {name} is valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, and today "
            f"is {now:%Y-%m-%d}; renew it"
        )


def _no_password() -> NoReturn:
    raise InvalidArgument(
        "tls.private_key is encrypted, and a server starts without anyone to ask for its password; "
        "give a key that is not (openssl pkey -in KEY -out PLAIN)"
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _stamps(settings: TlsSettings) -> tuple[float, ...]:
    stamps = []
    for name in (settings.certificate, settings.private_key):
        try:
            stamps.append(Path(name).stat().st_mtime_ns)
        except OSError:
            # being replaced at this moment
            stamps.append(0)
    return tuple(stamps)
