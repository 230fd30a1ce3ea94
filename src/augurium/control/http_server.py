"""uvicorn as the control process wants it: HTTP/1.1 only, no signal handlers, no access log."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from augurium.core.tls import ServerTls, certificate_names

CERTIFICATE_NAMES = "certificate_names"
RELOAD_S = 1.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # signals belong to the process: uvicorn would raise them again when it is done
        yield


class _Connection(H11Protocol):
    """Puts the names of the caller's certificate into the state of every request's scope."""

    def connection_made(self, transport: Any) -> None:
        names = certificate_names(transport.get_extra_info("peercert"))
        self.app_state = {**self.app_state, CERTIFICATE_NAMES: names}
        super().connection_made(transport)


def http_server(app: ASGIApp, drain_timeout_s: int, tls: ServerTls | None = None) -> uvicorn.Server:
    """A server for `app`. Once its `should_exit` is set, it has `drain_timeout_s` to finish."""
    return _Server(
        uvicorn.Config(
            app,
            http=_Connection,
            ssl_context_factory=(lambda _config, _default: tls.context) if tls else None,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=drain_timeout_s,
        )
    )


async def keep_certificate(tls: ServerTls | None) -> None:
    """Takes replaced certificates until it is cancelled."""
    while tls is not None:
        await asyncio.sleep(RELOAD_S)
        # on the loop, where the handshakes are: one of them must not see half of a replacement
        tls.reload()
