"""The reference profiles of versions, as they were stored when the versions were registered."""

from augurium.core.errors import NotFound
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.registry import Registry


class Profiles:
    """Finds the profile of a version."""

    def __init__(self, registry: Registry, artifacts: ArtifactStore) -> None:
        self._registry = registry
        self._artifacts = artifacts

    def get(self, model: str, version: int) -> bytes:
        """The JSON of a profile. Raises NotFound also for a version without one. Blocking."""
        found = self._registry.version(model, version).profile
        if found is None:
            raise NotFound(
                f"{model}@{version} has no reference profile; profiles are made of the training "
                "data at registration: register it again with --data TABLE"
            )
        return self._artifacts.local_path(found.digest).read_bytes()
