"""What must hold before a node starts: an address it may bind, free ports, a home of its own,
storage that can be meant.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from augurium.core import processors
from augurium.core.errors import Conflict, InsufficientStorage, InvalidArgument
from augurium.core.home import Home, NodeConfig
from augurium.core.settings import CacheSettings, NodeSettings, Settings
from augurium.core.tls import server_tls
from augurium.node.admittance import secured
from augurium.scaling.node_policy import node_policy

MOST_ENGINES_BY_DEFAULT = 8


def resolve(settings: Settings) -> NodeConfig:
    """Real port numbers, engine counts and slots.

    Raises Conflict for a port that is in use, InvalidArgument for TLS files that cannot be used and
    for scaling that cannot be meant, and what `secured` raises.
    """
    settings = secured(settings)
    node = settings.node
    server_tls(settings.tls)
    ports = _ports(node)
    engines = _engines(settings) or min(len(processors.USABLE), MOST_ENGINES_BY_DEFAULT)
    resolved = msgspec.structs.replace(
        node,
        engines=engines,
        port=ports[0],
        grpc_port=ports[1],
        control_port=ports[2],
    )
    return NodeConfig(
        msgspec.structs.replace(settings, node=resolved),
        tuple(f"engine-{number}" for number in range(engines)),
    )


def _engines(settings: Settings) -> int:
    """How many engines the node starts with; 0 where nothing says so."""
    scaling, wanted = settings.scaling, settings.node.engines
    if not scaling.enabled:
        if scaling.min_engines > 1 or scaling.schedules:
            raise InvalidArgument(
                "scaling.min_engines and scaling.schedules mean nothing without"
                " scaling.max_engines, which says how many engines there may be; set that too"
            )
        return wanted
    bounds = node_policy(scaling).bounds(datetime.now(UTC))
    if wanted and not scaling.min_engines <= wanted <= scaling.max_engines:
        raise InvalidArgument(
            f"node.engines is {wanted}, and scaling allows {scaling.min_engines} to"
            f" {scaling.max_engines}; it is the number the node starts with, and may be left out"
        )
    return max(wanted or bounds.low, bounds.low)


@contextmanager
def locked_home(home: Home) -> Iterator[None]:
    """Makes the home's folders and holds its lock. Raises Conflict when another node runs there."""
    try:
        home.create()
        lock = home.lock.open("w")
    except OSError as error:
        raise InsufficientStorage(
            f"home folder {home.path} cannot be used: {error.strerror}; choose another with --home"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                f"another node runs in {home.path}; stop it, or choose another folder with --home"
            ) from error
        yield


def check_storage(config: NodeConfig) -> None:
    """Raises InvalidArgument for a database or an artifact store that cannot be what was meant.

    Asks neither of them: one that is down may come back, a mistyped one does not. The home must be
    locked.
    """
    storage = config.settings.storage
    if config.settings.cache.redis_url:
        _check_redis(config.settings.cache)
    # loaded only where there is something to check: the supervisor stays small
    if storage.database_url:
        from augurium.registry.database import check_url

        check_url(storage.database_url)
    if storage.artifacts_url:
        from augurium.registry.artifact_location import open_artifacts

        open_artifacts(storage, config.home.artifacts, config.home.cache, os.environ)


def _check_redis(cache: CacheSettings) -> None:
    try:
        from augurium.serving.cache_redis import RedisCache
    except ModuleNotFoundError as error:
        raise InvalidArgument(
            "cache.redis_url needs a client for it: pip install 'augurium[redis]'"
        ) from error
    RedisCache(cache.redis_url, cache.redis_timeout_s)


def _ports(node: NodeSettings) -> list[int]:
    """The three ports; 0 becomes a free one. Probed together, so that no two are the same."""
    wanted = {
        "--port": node.port,
        "--grpc-port": node.grpc_port,
        "--control-port": node.control_port,
    }
    probes: list[socket.socket] = []
    try:
        for flag, port in wanted.items():
            probe = socket.socket(socket.AF_INET6 if ":" in node.host else socket.AF_INET)
            probes.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((node.host, port))
            except OSError as error:
                raise Conflict(
                    f"port {port} on {node.host} cannot be used ({error.strerror});"
                    f" choose another with {flag}"
                ) from error
        found = [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
    if len(set(found)) != len(found):
        raise InvalidArgument(f"--port, --grpc-port and --control-port must differ, got {found}")
    return found
