"""What one import does: check the upload, convert it, store what came out, register the version."""

import stat
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from augurium.core.errors import InvalidArgument, NotFound, PermissionDenied
from augurium.core.files import remove_folder, sha256_of_file
from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportRequest, ImportResult
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.draft_limits import check_card, check_lineage, check_tags
from augurium.registry.records import Artifact, Lineage, Version, VersionDraft
from augurium.registry.registry import Registry

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
Progress = Callable[[str, float], None]
Importer = Callable[[ImportRequest, Path, ImportSettings, Progress], ImportResult]
MAX_FILENAME_LENGTH = 255


class ImportOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a caller says about an uploaded model.

    `artifact`, `table` (training data) and `preprocessing` (fitted transforms) are digests of
    uploads. `engine` names the one that shall serve, `prepacking` is how ONNX Runtime shall hold
    the weights (`off`: shared by all processes, `on`: faster on batches), `card` is Markdown. The
    digest of the dataset is the table's unless the lineage says another.
    """

    artifact: Digest
    filename: str
    framework: Annotated[str, Meta(max_length=64)] | None = None
    table: Digest | None = None
    preprocessing: Digest | None = None
    engine: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    prepacking: Literal["on", "off"] | None = None
    metrics: dict[str, float] | None = None
    tags: dict[str, str] | None = None
    description: str | None = None
    card: str | None = None
    lineage: Lineage | None = None
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

    def check(self, model: str, order: ImportOrder) -> None:
        """Refuses what can be refused at once.

        Raises InvalidArgument, PermissionDenied, and NotFound for digests that were not uploaded
        and a parent version that does not exist.
        """
        _check_filename(order.filename)
        _in_utc(order.trained_at)
        check_tags(order.tags or {})
        check_card(order.card or "")
        check_lineage(order.lineage or Lineage())
        if order.allow_code and not self._limits.allow_code:
            raise PermissionDenied(
                "this server does not accept formats that run code when they are loaded; if all "
                "files are yours, set importing.allow_code (AUGURIUM_IMPORTING_ALLOW_CODE=true)"
            )
        if order.lineage is not None and order.lineage.parent_version is not None:
            self._registry.version(model, order.lineage.parent_version)
        for digest in filter(None, (order.artifact, order.table, order.preprocessing)):
            if not self._artifacts.contains(digest):
                raise NotFound(f"no artifact {digest} was uploaded; POST it to /api/v1/artifacts")

    def run(
        self, name: str, model: str, order: ImportOrder, actor: str, progress: Progress
    ) -> Version:
        """Imports and registers. The working folder is called `name` and gone in the end."""
        folder = self._staging / name
        folder.mkdir(mode=stat.S_IRWXU)
        # leased files were hashed since they last changed and stay until the import ends
        held = ExitStack()
        try:
            progress("checking the upload", 0.0)
            request = self._request(order, held, lambda stage, share: progress(stage, 0.02 * share))
            result = self._importer(
                request, folder, self._limits, lambda stage, share: progress(stage, 0.9 * share)
            )
            progress("storing the servable model", 0.92)
            draft = self._draft(
                order, result, lambda stage, share: progress(stage, 0.92 + 0.06 * share)
            )
            progress("registering the version", 0.98)
            return self._registry.register(model, draft, actor)
        finally:
            held.close()
            remove_folder(folder)

    def _request(self, order: ImportOrder, held: ExitStack, progress: Progress) -> ImportRequest:
        def leased(digest: str) -> Path:
            return held.enter_context(self._artifacts.lease(digest, progress))

        # to run code from a file is a decision that both sides make and that is kept
        allow_code = self._limits.allow_code and bool(order.allow_code)
        return ImportRequest(
            file=leased(order.artifact),
            filename=order.filename,
            framework=order.framework,
            table=leased(order.table) if order.table else None,
            preprocessing=leased(order.preprocessing) if order.preprocessing else None,
            engine=order.engine,
            prepacking=order.prepacking,
            allow_code=allow_code,
        )

    def _draft(self, order: ImportOrder, result: ImportResult, progress: Progress) -> VersionDraft:
        """Stores the files that came out of an import and says what is to be registered."""
        source = self._uploaded(order.artifact)

        def stored(file: Path) -> Artifact:
            return self._stored(file, source, progress)

        return VersionDraft(
            framework=result.framework,
            framework_version=result.framework_version,
            runtime=result.runtime,
            source=source,
            source_name=order.filename,
            servable=stored(result.servable),
            weights=stored(result.weights) if result.weights else None,
            profile=stored(result.profile) if result.profile else None,
            preprocessing=self._uploaded(order.preprocessing) if order.preprocessing else None,
            signature=result.signature,
            options=result.options,
            report=result.report,
            examples=result.examples,
            allowed_code=result.allowed_code,
            metrics=order.metrics or {},
            tags=order.tags or {},
            description=order.description or "",
            card=order.card or "",
            lineage=_lineage(order),
            trained_at=_in_utc(order.trained_at),
            idempotency_key=order.idempotency_key,
        )

    def _uploaded(self, digest: str) -> Artifact:
        return Artifact(digest, self._artifacts.local_path(digest).stat().st_size)

    def _stored(self, file: Path, source: Artifact, progress: Progress) -> Artifact:
        # a file that is served as it was uploaded is there already
        same_size = file.stat().st_size == source.size_bytes
        if same_size and sha256_of_file(file) == source.digest:
            return source
        return self._artifacts.put_file(file, progress)


def _lineage(order: ImportOrder) -> Lineage:
    said = order.lineage or Lineage()
    if order.table is None or said.dataset_digest:
        return said
    return msgspec.structs.replace(said, dataset_digest=order.table)


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
