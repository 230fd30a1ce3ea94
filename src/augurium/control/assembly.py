"""What the control process consists of, put together; undone in reverse."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from augurium.control.deployments import Deployments
from augurium.control.import_pipeline import ImportPipeline, Progress
from augurium.control.imports import Imports
from augurium.control.link_hub import LinkHub
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.control.uploads import Uploads
from augurium.core.clock import SystemClock
from augurium.core.errors import NotReady
from augurium.core.home import Home, NodeConfig
from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportRequest, ImportResult
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.sql_registry import SqlRegistry


@contextlib.asynccontextmanager
async def assembled(config: NodeConfig) -> AsyncIterator[Services]:
    """The services of a node's control process, running, with the engine link open."""
    clock = SystemClock()
    artifacts = _prepare(config.home)
    with contextlib.closing(
        SqlRegistry(open_database(sqlite_url(config.home.database)), clock)
    ) as registry:
        hub = LinkHub(config.home.link_socket)
        snapshots = Snapshots(registry, artifacts, config.settings.batching, hub)
        pipeline = ImportPipeline(
            registry, artifacts, _import_model, config.settings.importing, config.home.staging
        )
        services = Services(
            node=config,
            registry=registry,
            hub=hub,
            deployments=Deployments(registry, artifacts, snapshots, hub),
            imports=Imports(pipeline, clock),
            uploads=Uploads(artifacts, config.settings.limits.max_artifact_bytes),
        )
        async with _running(services, snapshots):
            yield services


@contextlib.asynccontextmanager
async def _running(services: Services, snapshots: Snapshots) -> AsyncIterator[None]:
    await snapshots.publish()
    await services.hub.start()
    services.imports.start()
    try:
        yield
    finally:
        services.uploads.stop()
        await asyncio.to_thread(services.imports.stop)
        await services.hub.stop()


def _prepare(home: Home) -> ObstoreArtifacts:
    """Makes the folders and removes what an earlier run left half-done."""
    try:
        home.create()
    except OSError as error:
        raise NotReady(
            f"the home folder {home.path} cannot be used: {error.strerror}; choose another --home"
        ) from error
    for leftover in home.staging.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    artifacts = ObstoreArtifacts(home.artifacts)
    artifacts.sweep_staging()
    return artifacts


def _import_model(
    request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
) -> ImportResult:
    # loaded with the first import: most starts of the process see none
    from augurium.importing.importer import import_model

    return import_model(request, folder, limits, progress)
