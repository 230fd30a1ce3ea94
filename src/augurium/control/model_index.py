"""Where every model stands in the node: what the repository extension lists."""

from collections.abc import Iterable, Sequence

from augurium.control.engine_link import FAILED, READY, EngineLink
from augurium.registry.records import Model
from augurium.registry.registry import Registry
from augurium.serving.questions import Indexed, IndexEntry

LOADING = "loading"
UNLOADED = "unloaded"


def model_index(registry: Registry, links: Sequence[EngineLink], revision: int) -> Indexed:
    """Every deployed version, as the engines report it of `revision` or later, and the newest of
    each model if that is not deployed. Blocking.
    """
    entries: list[IndexEntry] = []
    for model in registry.models():
        entries += [
            IndexEntry(model.name, number, *_state(model, number, links, revision))
            for number in model.deployed_versions
        ]
        newest = _newest(registry, model)
        if newest and newest not in model.deployed_versions:
            reason = "it is registered, and not loaded"
            entries.append(IndexEntry(model.name, newest, UNLOADED, reason))
    return Indexed(tuple(entries))


def _newest(registry: Registry, model: Model) -> int:
    """The newest version that is not deleted, 0 if there is none."""
    newest = model.latest_version
    if not newest or newest in model.deployed_versions:
        return newest
    if _is_there(registry, model.name, newest):
        return newest
    return max((version.version for version in registry.versions(model.name)), default=0)


def _is_there(registry: Registry, model: str, number: int) -> bool:
    return registry.version(model, number).deleted_at is None


def _state(
    model: Model, number: int, links: Iterable[EngineLink], revision: int
) -> tuple[str, str]:
    """The worst that an engine says of a version."""
    found = {link.hello.engine: link.state_of(model.name, number, revision) for link in links}
    if not found:
        return FAILED, "no engine is connected"
    for engine, state in found.items():
        if state is not None and state.state == FAILED:
            return FAILED, f"{engine}: {state.reason}"
    late = [engine for engine, state in found.items() if state is None or state.state != READY]
    return (LOADING, f"in {', '.join(late)}") if late else (READY, "")
