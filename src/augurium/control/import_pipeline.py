"""What one import does: check the upload, convert it, store what came out, register the version."""

import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from augurium.core.errors import InvalidArgument, NotFound, PermissionDenied, Unprocessable
from augurium.core.files import sha256_of_file
from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportRequest, ImportResult
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact, Version, VersionDraft
from augurium.registry.registry import Registry

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
Progress = Callable[[str, float], None]
Importer = Callable[[ImportRequest, Path, ImportSettings, Progress], ImportResult]
MAX_FILENAME_LENGTH = 255


class ImportOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a caller says about an uploaded model. `artifact` and `table` are digests of uploads."""

    artifact: Digest
    filename: str
    framework: Annotated[str, Meta(max_length=64)] | None = None
    table: Digest | None = None
    metrics: dict[str, float] | None = None
    tags: dict[str, str] | None = None
    description: str | None = None
    trained_at: Annotated[datetime, Meta(tz=True)] | None = None
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    allow_code: bool | None = None


class ImportPipeline:
    """Runs imports in the calling thread; `importer` is what converts, blocking."""

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        importer: Importer,
        limits: ImportSettings,
        staging: Path,
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._importer = importer
        self._limits = limits
        self._staging = staging

    def check(self, order: ImportOrder) -> None:
        """Refuses what can be refused at once.

        Raises InvalidArgument, PermissionDenied, and NotFound for digests that were not uploaded.
        """
        _check_filename(order.filename)
        _in_utc(order.trained_at)
        if order.allow_code and not self._limits.allow_code:
            raise PermissionDenied(
                "this server does not accept formats that run code when they are loaded; if all "
                "files are yours, set importing.allow_code (AUGURIUM_IMPORTING_ALLOW_CODE=true)"
            )
        for digest in filter(None, (order.artifact, order.table)):
            if not self._artifacts.contains(digest):
                raise NotFound(f"no artifact {digest} was uploaded; POST it to /api/v1/artifacts")

    def run(
        self, name: str, model: str, order: ImportOrder, actor: str, progress: Progress
    ) -> Version:
        """Imports and registers. The working folder is called `name` and gone in the end."""
        folder = self._staging / name
        folder.mkdir(mode=stat.S_IRWXU)
        try:
            progress("checking the upload", 0.0)
            request = self._request(order)
            result = self._importer(
                request, folder, self._limits, lambda stage, share: progress(stage, 0.9 * share)
            )
            progress("storing the servable model", 0.92)
            servable = self._artifacts.put_file(result.servable)
            progress("registering the version", 0.98)
            return self._registry.register(model, self._draft(order, result, servable), actor)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _request(self, order: ImportOrder) -> ImportRequest:
        allow_code = self._limits.allow_code and order.allow_code is not False
        return ImportRequest(
            file=self._verified(order.artifact),
            filename=order.filename,
            framework=order.framework,
            table=self._verified(order.table) if order.table else None,
            allow_code=allow_code,
        )

    def _verified(self, digest: str) -> Path:
        file = self._artifacts.local_path(digest)
        if sha256_of_file(file) != digest:
            raise Unprocessable(
                f"the stored content of artifact {digest} is damaged; upload the file again"
            )
        return file

    def _draft(self, order: ImportOrder, result: ImportResult, servable: Artifact) -> VersionDraft:
        size = self._artifacts.local_path(order.artifact).stat().st_size
        return VersionDraft(
            framework=result.framework,
            framework_version=result.framework_version,
            runtime=result.runtime,
            source=Artifact(order.artifact, size),
            source_name=order.filename,
            servable=servable,
            signature=result.signature,
            options=result.options,
            report=result.report,
            metrics=order.metrics or {},
            tags=order.tags or {},
            description=order.description or "",
            trained_at=_in_utc(order.trained_at),
            idempotency_key=order.idempotency_key,
        )


def _check_filename(name: str) -> None:
    if (
        not 0 < len(name) <= MAX_FILENAME_LENGTH
        or not name.isprintable()
        or set(name) & set("/\\")
        or name in (".", "..")
    ):
        raise InvalidArgument(
            f"filename {name[:64]!r} is not allowed: give a plain file name without folders, "
            f"of at most {MAX_FILENAME_LENGTH} printable characters"
        )


def _in_utc(moment: datetime | None) -> datetime | None:
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError as error:
        raise InvalidArgument("trained_at does not exist in UTC; expected an ISO time") from error
