"""The port of the registry: what the rest of the house may ask of it."""

from collections.abc import Sequence
from typing import Protocol

from augurium.registry.records import AuditEntry, Model, Version, VersionDraft


class Registry(Protocol):
    """Models and versions, kept in one place. Every method blocks; every change is one transaction.

    A change is there whole or not at all, is written to the audit log in the same transaction, and
    makes `revision` larger; setting what is set already is no change. Methods raise NotFound for
    unknown models, versions or aliases, NotReady when the store cannot be used or is closed, and
    InsufficientStorage when it is full.
    """

    def revision(self) -> int:
        """The number of the last change."""
        ...

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        """Creates the next version of `model`, and the model if it is new; no number is used twice.

        A draft with a known `idempotency_key` returns the version it made before. Raises
        InvalidArgument for a bad name or a draft above the limits, Conflict for a name that differs
        from a known one by case only or a key that came with another model or source file before.
        """
        ...

    def models(self) -> Sequence[Model]:
        """All models, ordered by name."""
        ...

    def model(self, name: str) -> Model: ...

    def versions(self, model: str) -> Sequence[Version]:
        """All versions of a model, oldest first."""
        ...

    def version(self, model: str, version: int) -> Version: ...

    def deployed(self) -> Sequence[Version]:
        """All deployed versions of all models, ordered by name and number."""
        ...

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        """Whether engines shall hold the version.

        Raises Conflict if the default or an alias points at a version to be undeployed.
        """
        ...

    def set_default(self, model: str, version: int, actor: str) -> None:
        """Which version answers requests that name none. Raises Conflict if it is not deployed."""
        ...

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        """Points an alias at a version, deployed or not, creating or moving the alias.

        Raises InvalidArgument for a bad alias.
        """
        ...

    def remove_alias(self, model: str, alias: str, actor: str) -> None: ...

    def audit(self, model: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """The newest changes first, of one model or of all.

        Raises InvalidArgument unless `limit` is between 1 and 1000.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; the registry cannot be used afterwards."""
        ...
