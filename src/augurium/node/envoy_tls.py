"""TLS as Envoy is told to speak it.

Source: Envoy's `DownstreamTlsContext`, secret discovery by file, and `x-forwarded-client-cert`.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from augurium.core.files import write_atomically
from augurium.core.settings import TlsSettings
from augurium.core.tls import ServerTls, names_in_certificate

SOURCE = "secrets.json"
RELOAD_S = 1.0
NAMES_HEADER = b"x-forwarded-client-cert"
# set by Envoy from the verified certificate, whatever a caller puts into the header
FORWARDED_NAMES = {
    "forward_client_cert_details": "SANITIZE_SET",
    # the certificate and not its names: those are put there unquoted, and may have separators
    "set_current_client_cert_details": {"cert": True},
}
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_SECRET = "certificate"  # noqa: S105 - the name under which Envoy looks it up
_CERTIFICATE = re.compile(rb'(?:^|;)Cert="([^"]*)"')


def prepare(settings: TlsSettings, folder: Path) -> None:
    """Writes into `folder`, which is created, where the certificate lies."""
    folder.mkdir(mode=0o700, exist_ok=True)
    secret = {
        "@type": f"{_TLS}.Secret",
        "name": _SECRET,
        "tls_certificate": {
            "certificate_chain": {"filename": str(Path(settings.certificate).absolute())},
            "private_key": {"filename": str(Path(settings.private_key).absolute())},
            "watched_directory": {"path": str(folder)},
        },
    }
    write_atomically(folder / SOURCE, json.dumps({"resources": [secret]}).encode())


async def keep_certificate(settings: TlsSettings, folder: Path) -> None:
    """Makes Envoy read the files again when they were replaced, until it is cancelled.

    Envoy could watch them itself, but it would also take a new certificate with the old key.
    """
    tls = ServerTls(settings)
    while True:
        await asyncio.sleep(RELOAD_S)
        if tls.reload():
            # a file that is moved into the folder is what Envoy waits for
            write_atomically(folder / "replaced", b"")


def transport_socket(settings: TlsSettings, folder: Path) -> dict[str, Any]:
    """The transport socket of a listener; `folder` is what `prepare` prepared."""
    source = {"path_config_source": {"path": str(folder / SOURCE)}, "resource_api_version": "V3"}
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [{"name": _SECRET, "sds_config": source}],
    }
    if settings.client_ca:
        trusted = {"filename": str(Path(settings.client_ca).absolute())}
        common["validation_context"] = {"trusted_ca": trusted}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": bool(settings.client_ca)
            and settings.client_certificates == "required",
        },
    }


def forwarded_names(header: bytes | None) -> tuple[str, ...]:
    """The names of the caller's certificate, from the header that Envoy sets."""
    found = _CERTIFICATE.search(header) if header else None
    return names_in_certificate(unquote_to_bytes(found[1])) if found else ()
