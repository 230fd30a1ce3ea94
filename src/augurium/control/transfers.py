"""Versions that leave this node as a signed archive, and those that arrive as one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import msgspec
import structlog

import augurium
from augurium.access.principal import Principal
from augurium.access.scopes import Scope
from augurium.control.uploads import Uploads
from augurium.core.errors import Conflict, PermissionDenied
from augurium.registry.archive_format import Manifest
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.draft_limits import check_draft
from augurium.registry.records import Lineage, Version, VersionDraft
from augurium.registry.registry import Registry
from augurium.registry.signing import SigningKeys, TrustedKey, fingerprint
from augurium.registry.version_archive import OpenedArchive, VersionArchives

# an entry of the audit log: actor, action, model, version, details. It is written when the context
# is left in peace, in a transaction that is open meanwhile
Note = Callable[[str, str, str, int | None, Mapping[str, Any]], AbstractContextManager[None]]
log = structlog.get_logger()


class Outgoing(NamedTuple):
    """An archive about to be sent."""

    filename: str
    size_bytes: int
    chunks: Iterator[bytes]


class TrustedKeys(msgspec.Struct, frozen=True):
    """The node's own public key, and those whose signatures it believes."""

    own: TrustedKey
    trusted: tuple[TrustedKey, ...]


class Transfers:
    """Export and import of versions, and whose signatures count."""

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        keys: SigningKeys,
        uploads: Uploads,
        note: Note,
        allow_code: bool,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._uploads = uploads
        self._note = note
        self._allow_code = allow_code
        self._archives = VersionArchives(artifacts, keys, uploads.max_bytes)

    def export(self, model: str, number: int, actor: str) -> Outgoing:
        """One version as an archive. Blocking.

        Raises NotFound, Conflict for a deleted version, Unprocessable when a file is damaged.
        """
        version = self._registry.version(model, number)
        if version.deleted_at is not None:
            raise Conflict(f"{model}@{number} is deleted; restore it before you export it")
        made_by = augurium.__version__
        chunks = self._archives.write(version, made_by)
        # the first piece comes when all files are there and whole: later it is too late to say no
        first = next(chunks)
        size = self._archives.size_bytes(version, made_by)
        with self._note(actor, "export", model, number, {"source": version.source.digest}):
            return Outgoing(f"{model}-{number}.augurium", size, _beginning_with(first, chunks))

    async def accept(
        self,
        model: str,
        body: AsyncIterator[bytes],
        signer: str | None,
        caller: Principal,
    ) -> Version:
        """Registers the version of an archive as the next one of `model`.

        `signer` is the fingerprint of a key to believe this once, which takes scope `admin`. The
        same archive twice is one version. Raises Unprocessable for what is no archive or was
        changed, PermissionDenied for a signer that is not trusted and for code that is not allowed.
        """
        if signer is not None and Scope.ADMIN not in caller.scopes:
            raise PermissionDenied(
                "to believe a signer that is not trusted needs a credential with scope 'admin'; "
                "have the key added with `augurium trust add`"
            )
        opened = await self._uploads.read(
            body, lambda chunks: self._archives.read(chunks, signer, self._check)
        )
        return await asyncio.to_thread(self._register, model, opened, caller.name)

    def trusted(self) -> TrustedKeys:
        """The keys that are known here."""
        return TrustedKeys(self._keys.own(), self._keys.trusted())

    def trust(self, name: str, key: str, actor: str) -> TrustedKey:
        """Believes the signatures of a key from now on. Raises InvalidArgument."""
        details = {"name": name, "signer": fingerprint(key)}
        with self._note(actor, "trust", "", None, details):
            return self._keys.trust(name, key)

    def distrust(self, name: str, actor: str) -> TrustedKeys:
        """Believes the signatures of a key no more. Raises NotFound."""
        with self._note(actor, "distrust", "", None, {"name": name}):
            self._keys.distrust(name)
        return self.trusted()

    def _check(self, manifest: Manifest) -> None:
        check_draft(manifest.draft)
        if manifest.draft.allowed_code and not self._allow_code:
            raise PermissionDenied(
                "the version ran code when it was loaded, which this server does not accept; if it "
                "is yours, set importing.allow_code (AUGURIUM_IMPORTING_ALLOW_CODE=true)"
            )

    def _register(self, model: str, opened: OpenedArchive, actor: str) -> Version:
        origin = _origin(opened)
        draft = _draft(model, opened, origin)
        if not opened.signer.name:
            details = {"signer": opened.signer.fingerprint, "archive": opened.digest}
            # before the version is there: no version may stand on a decision that is not on record
            with self._note(actor, "accept_signer", model, None, details):
                pass
        version = self._registry.register(model, draft, actor)
        log.info("version arrived", model=model, version=version.version, origin=origin)
        return version


def _draft(model: str, opened: OpenedArchive, origin: dict[str, Any]) -> VersionDraft:
    draft = opened.manifest.draft
    parent = draft.lineage.parent_version
    if parent is not None:
        # it is a number of the registry the version came from; here it may be another version's
        origin["parent_version"] = parent
    lineage: Lineage = msgspec.structs.replace(draft.lineage, parent_version=None)
    return msgspec.structs.replace(
        draft,
        lineage=lineage,
        report={**draft.report, "imported_from": origin},
        idempotency_key=f"archive:{opened.digest}:{model}",
    )


def _origin(opened: OpenedArchive) -> dict[str, Any]:
    manifest, signer = opened.manifest, opened.signer
    return {
        "model": manifest.model,
        "version": manifest.version,
        "created_at": manifest.created_at.isoformat(),
        "archive": opened.digest,
        "signer": signer.fingerprint,
        "signed_by": signer.name or "accepted for this time only",
    }


def _beginning_with(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others
