"""uvicorn as the control process wants it: HTTP/1.1 only, no signal handlers, no access log."""

import contextlib
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # signals belong to the process: uvicorn would raise them again when it is done
        yield


def http_server(app: ASGIApp, drain_timeout_s: int) -> uvicorn.Server:
    """A server for `app`. Once its `should_exit` is set, it has `drain_timeout_s` to finish."""
    return _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=drain_timeout_s,
        )
    )
