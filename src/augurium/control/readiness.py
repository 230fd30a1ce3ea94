"""Readiness: whether every engine of the node serves what is wanted, and who is missing if not."""

import asyncio
from pathlib import Path

import msgspec
import uvicorn

from augurium.control.link_hub import LinkHub
from augurium.control.services import Services
from augurium.core.home import NodeConfig


def waiting_for(
    node: NodeConfig, hub: LinkHub, stopping: bool, names_models: bool = True
) -> list[str]:
    """What keeps the node from being ready, in words; empty when it is.

    A version that failed to load does not: it harms itself only. Who may not know which models
    there are is told how many are loading.
    """
    if stopping:
        return ["the server is stopping"]
    links = {link.hello.engine: link for link in hub.links()}
    reasons = []
    for engine in node.engines:
        link = links.get(engine)
        if link is None:
            reasons.append(f"{engine} is not connected")
        elif not link.has_applied(hub.snapshot):
            loading = _words_for(link.loading(), names_models)
            reasons.append(
                f"{engine} is loading {loading}".rstrip()
                if loading
                else f"{engine} has not taken over revision {hub.snapshot.revision}"
            )
    return reasons


def _words_for(loading: list[str], names_models: bool) -> str:
    if names_models or not loading:
        return ", ".join(loading[:3])
    return "a version" if len(loading) == 1 else f"{len(loading)} versions"


async def tell_readiness(
    socket: Path, services: Services, server: uvicorn.Server
) -> asyncio.Server:
    """Tells whoever connects to `socket` what the node waits for: a JSON list, then the end.

    It is how the supervisor asks, which has neither a key nor a certificate.
    """

    async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reasons = waiting_for(services.node, services.hub, services.deployments.stopping)
        if not server.started:
            reasons.append("the management API has not started")
        writer.write(msgspec.json.encode(reasons))
        await writer.drain()
        writer.close()

    # what an earlier run left there is replaced
    return await asyncio.start_unix_server(tell, socket)
