"""The files of a version on this machine, for as long as a job runs."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from augurium.batch.model_choice import ModelChoice
from augurium.batch.model_files import ModelFiles
from augurium.core.device_policy import DevicePolicy
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact, Version


class JobFiles:
    """Fetches what a job needs of its version, and holds it until the block ends; `folder` is for
    what is written beside it, and is removed.
    """

    def __init__(self, artifacts: ArtifactStore, folder: Path) -> None:
        self._artifacts = artifacts
        self._held = ExitStack()
        self.folder = folder

    def __enter__(self) -> "JobFiles":
        # an attempt that was killed left its own
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        self._held.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def hold(self, artifact: Artifact) -> Path:
        """The file of an artifact, hashed. Blocking. Raises as `ArtifactStore.lease`."""
        return self._held.enter_context(self._artifacts.lease(artifact.digest))

    def servable(self, version: Version, choice: ModelChoice, device: DevicePolicy) -> ModelFiles:
        """What a version is served from. Blocking. Raises as `hold`."""
        weights = self.hold(version.weights) if version.weights else None
        return ModelFiles(
            runtime=choice.runtime,
            path=str(self.hold(version.servable)),
            options=version.runtime_options,
            weights=str(weights) if weights else None,
            device=device,
        )
