"""Routes: the server itself."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

import augurium
from augurium.access.principal import Principal
from augurium.control.engine_slots import EngineSlot
from augurium.control.readiness import waiting_for
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.serving.snapshot import VersionState

router = APIRouter(tags=["server"])
# a node that listens on these has no address of its own to tell: the caller's is as good
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class Engine(msgspec.Struct, frozen=True):
    """A process of the data plane and what it holds; `connected` is false for one that is gone."""

    engine: str
    pid: int
    connected: bool
    revision: int
    states: tuple[VersionState, ...]


class Server(msgspec.Struct, frozen=True):
    """Where the node listens, its engines, and whether it asks for keys."""

    version: str
    rest_url: str
    grpc_url: str
    control_url: str
    engines: list[Engine]
    expected_engines: list[str]
    keys_required: bool


class Liveness(msgspec.Struct, frozen=True):
    """That the process answers."""

    live: bool


class Readiness(msgspec.Struct, frozen=True):
    """Whether traffic may be sent, and what is missing if not."""

    ready: bool
    waiting_for: list[str]


@router.get("/server", **described(Server))
async def get_server(request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """Addresses of the data plane, and the engines with their states."""
    settings, node = services.node.settings, services.node.settings.node
    host = node.url_host if node.host not in EVERY_ADDRESS else request.url.hostname or node.host
    server = Server(
        version=augurium.__version__,
        rest_url=f"{settings.url_scheme}://{host}:{node.port}",
        grpc_url=f"{host}:{node.grpc_port}",
        control_url=f"{settings.url_scheme}://{host}:{node.control_port}",
        engines=[_engine(slot, caller) for slot in services.hub.slots()],
        expected_engines=list(services.engines.expected),
        keys_required=services.access.required,
    )
    return answer(server)


@router.get("/live", **described(Liveness))
async def get_liveness() -> Response:
    """That the process answers."""
    return answer(Liveness(True))


@router.get("/ready", **described(Readiness))
async def get_readiness(services: ServicesOf) -> Response:
    """200 when every expected engine serves what is wanted, otherwise 503 with what is missing."""
    # open to everyone, who must not learn which models there are
    names_models = not services.access.required
    reasons = waiting_for(
        services.engines.expected, services.hub, services.deployments.stopping, names_models
    )
    return answer(Readiness(not reasons, reasons), 503 if reasons else 200)


def _engine(slot: EngineSlot, caller: Principal) -> Engine:
    applied = slot.link.applied if slot.link else None
    return Engine(
        engine=slot.hello.engine,
        pid=slot.hello.pid,
        connected=slot.link is not None,
        revision=max(applied.revision, 0) if applied else 0,
        states=tuple(state for state in applied.states if caller.sees(state.model))
        if applied
        else (),
    )
