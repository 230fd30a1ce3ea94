"""Readiness: whether every engine of the node serves what is wanted, and who is missing if not."""

from collections.abc import Iterable

from augurium.control.link_hub import LinkHub


def waiting_for(
    expected: Iterable[str], hub: LinkHub, stopping: bool, names_models: bool = True
) -> list[str]:
    """What keeps the node from being ready, in words; empty when it is. `expected` are the slots
    whose engines must serve.

    A version that failed to load does not: it harms itself only. Who may not know which models
    there are is told how many are loading.
    """
    if stopping:
        return ["the server is stopping"]
    links = {link.hello.engine: link for link in hub.links()}
    reasons = []
    for engine in expected:
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
