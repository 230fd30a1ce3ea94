"""Which version answers: the one the request names, the one an alias points at, the one that the
model's traffic policy chooses, or its default.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from msgspec import Struct

from augurium.core.errors import NotFound, NotReady
from augurium.core.identifiers import ModelRef
from augurium.serving.absent_version import AbsentVersion
from augurium.traffic.compiled_policy import Asked, CompiledPolicy

V = TypeVar("V")

# why a version does not answer that will, as far as anyone knows
BEING_LOADED = "it is being loaded"
NOT_TOLD = "this engine has just started and does not know yet which models there are"


def unknown_model(name: str) -> NotFound:
    """What is said of a model that is not deployed, and of one the caller may not see."""
    return NotFound(f"Request for unknown model: '{name}' is not found")


class ModelRoutes(Generic[V]):
    """One model's ready versions and the pointers into them; `unready` says why others do not
    answer, and `absent` are those of them that something else can answer for. `policy` chooses for
    requests that name no version, None where the default answers them.
    """

    __slots__ = ("absent", "aliases", "default_version", "policy", "ready", "unready")

    def __init__(
        self,
        ready: Mapping[int, V],
        unready: Mapping[int, str],
        default_version: int | None,
        aliases: Mapping[str, int],
        absent: Mapping[int, AbsentVersion] = MappingProxyType({}),
        policy: CompiledPolicy | None = None,
    ) -> None:
        self.ready = ready
        self.unready = unready
        self.default_version = default_version
        self.aliases = aliases
        self.absent = absent
        self.policy = policy


class Chosen(Struct, Generic[V], frozen=True, gc=False):
    """The version that a traffic policy chose; see `Choice`."""

    version: V
    variant: str
    unit: str


class Router(Generic[V]):
    """The routes of every model. The table is replaced as a whole, so a request sees one state."""

    def __init__(self) -> None:
        self._models: Mapping[str, ModelRoutes[V]] = {}
        self._told = False
        self._defaults: dict[str, V] = {}
        # few models have one: those who ask nothing of it pay nothing for it
        self.policies: Mapping[str, CompiledPolicy] = {}

    def replace(self, models: Mapping[str, ModelRoutes[V]]) -> None:
        """Takes a new table."""
        self._told = True
        self._models = models
        self._defaults = {
            name: routes.ready[routes.default_version]
            for name, routes in models.items()
            if routes.default_version is not None and routes.default_version in routes.ready
        }
        self.policies = {
            name: routes.policy for name, routes in models.items() if routes.policy is not None
        }

    def names(self) -> Iterable[str]:
        """The models that are deployed, ready or not."""
        return self._models.keys()

    def ready(self) -> Iterator[V]:
        """Every version that can answer."""
        for routes in self._models.values():
            yield from routes.ready.values()

    def routes(self, name: str) -> ModelRoutes[V]:
        """Raises NotFound for an unknown model, NotReady before the first table."""
        try:
            return self._models[name]
        except KeyError:
            if not self._told:
                raise NotReady(NOT_TOLD) from None
            raise unknown_model(name) from None

    def is_split(self, model: ModelRef) -> bool:
        """Whether a traffic policy says who answers."""
        return model.version is None and model.alias is None and model.name in self.policies

    def choose(self, model: ModelRef, asked: Asked) -> Chosen[V] | None:
        """Who answers by the model's traffic policy. None where that is left to `resolve`: there is
        none, the request names a version or an alias, no rule applies and there is no split, or the
        version that would answer is not ready.
        """
        name, version, alias = model
        policy = self.policies.get(name)
        if policy is None or version is not None or alias is not None:
            return None
        choice = policy.choose(asked)
        if choice is None:
            return None
        found = self._models[name].ready.get(choice.version)
        return None if found is None else Chosen(found, choice.variant, choice.unit)

    def resolve(self, model: ModelRef) -> V:
        """The version that answers where no policy chooses.

        Raises NotFound for what is not deployed and NotReady for what cannot answer yet.
        """
        name, version, alias = model
        if version is None and alias is None:
            found = self._defaults.get(name)
            if found is not None:
                return found
        routes = self.routes(name)
        number = version or self._pointed_at(routes, name, alias)
        if number in routes.ready:
            return routes.ready[number]
        if number in routes.unready:
            raise NotReady(
                f"version {number} of model '{name}' is not ready: {routes.unready[number]}"
            )
        raise NotFound(f"Request for unknown model: '{name}' version {number} is not found")

    def find_absent(self, model: ModelRef) -> AbsentVersion | None:
        """What stands for a version that `resolve` calls not ready, if something else can answer
        for it; the newest such version where none is named and the model has no default yet.
        """
        name, version, alias = model
        routes = self._models.get(name)
        if routes is None or not routes.absent:
            return None
        number = version or (routes.aliases.get(alias) if alias else routes.default_version)
        if number is None and alias is None:
            number = max(routes.absent)
        return routes.absent.get(number) if number is not None else None

    def _pointed_at(self, routes: ModelRoutes[V], name: str, alias: str | None) -> int:
        if alias is not None:
            if alias not in routes.aliases:
                raise NotFound(f"Request for unknown model: '{name}' has no alias '{alias[:128]}'")
            return routes.aliases[alias]
        if routes.default_version is None:
            raise NotReady(
                f"model '{name}' has no default version; name one, or make one the default with"
                f" `augurium deploy {name}@VERSION`"
            )
        return routes.default_version
