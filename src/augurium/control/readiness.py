"""Readiness: whether every engine of the node serves what is wanted, and who is missing if not."""

from augurium.control.link_hub import LinkHub
from augurium.core.home import NodeConfig


def expected_engines(node: NodeConfig) -> list[str]:
    """The slots that shall be filled."""
    return [*node.rest_engines, *node.grpc_engines]


def waiting_for(node: NodeConfig, hub: LinkHub, stopping: bool) -> list[str]:
    """What keeps the node from being ready, in words; empty when it is.

    A version that failed to load does not: it harms itself only.
    """
    if stopping:
        return ["the server is stopping"]
    links = {link.hello.engine: link for link in hub.links()}
    reasons = []
    for engine in expected_engines(node):
        link = links.get(engine)
        if link is None:
            reasons.append(f"{engine} is not connected")
        elif not link.has_applied(hub.snapshot):
            loading = ", ".join(link.loading()[:3])
            reasons.append(
                f"{engine} is loading {loading}".rstrip()
                if loading
                else f"{engine} has not taken over revision {hub.snapshot.revision}"
            )
    return reasons
