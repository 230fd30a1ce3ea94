"""The port of the registry: what the rest of the house may ask of it."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from augurium.core.traffic_policy import TrafficRevision
from augurium.registry.chain import AuditCheck
from augurium.registry.records import (
    AuditEntry,
    Model,
    ModelEdit,
    SearchPage,
    Served,
    TrafficChange,
    Version,
    VersionDraft,
)

# says whether the artifact store has the file of this digest
Holds = Callable[[str], bool]
# says whether a caller may know of the model of this name
Sees = Callable[[str], bool]


class Registry(Protocol):
    """Models and versions, kept in one place. Every method blocks; every change is one transaction.

    A change is there whole or not at all, is written to the audit log in the same transaction, and
    makes `revision` larger; setting what is set already is no change. Methods raise NotFound for
    unknown models, versions or aliases, NotReady when the store cannot be used or is closed, and
    InsufficientStorage when it is full. Changes of what is deleted raise Conflict.
    """

    def revision(self) -> int:
        """The number of the last change."""
        ...

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        """Creates the next version of `model`, and the model if it is new; no number is used twice.

        A draft with a known `idempotency_key` returns the version it made before. Raises
        InvalidArgument for a bad name or a draft above the limits, Conflict for a name that differs
        from a known one by case only, a key that came with another model or source file before, or
        a file that is no longer in the artifact store or just being removed from it.
        """
        ...

    def models(self, deleted: bool = False) -> Sequence[Model]:
        """All models, ordered by name; with `deleted` those that are deleted too."""
        ...

    def model(self, name: str) -> Model:
        """One model, deleted or not."""
        ...

    def versions(self, model: str, deleted: bool = False) -> Sequence[Version]:
        """All versions of a model, oldest first; with `deleted` those that are deleted too."""
        ...

    def version(self, model: str, version: int) -> Version:
        """One version, deleted or not."""
        ...

    def search(
        self,
        query: str = "",
        limit: int = 100,
        cursor: str | None = None,
        sees: Sees | None = None,
    ) -> SearchPage:
        """The versions for which a query holds, by model and number; see `search_query.py`. Only of
        models that are seen, if `sees` is given.

        Raises InvalidArgument for a query that cannot be read, a limit outside 1 to 1000 and a
        cursor of another query.
        """
        ...

    def deployed(self) -> Sequence[Version]:
        """All deployed versions of all models, ordered by name and number."""
        ...

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        """Whether engines shall hold the version.

        Raises Conflict if the default, an alias or the traffic policy leads to a version to be
        undeployed, and for a version to be deployed without the approval that its model requires.
        """
        ...

    def set_default(self, model: str, version: int, actor: str) -> None:
        """Which version answers requests that name none. Raises Conflict if it is not deployed, or
        the versions of the traffic policy do not take the same requests.
        """
        ...

    def clear_default(self, model: str, actor: str) -> None:
        """From then on requests that name no version are refused. Raises Conflict while there is a
        traffic policy.
        """
        ...

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        """Points an alias at a version, deployed or not, creating or moving the alias.

        Raises InvalidArgument for a bad alias.
        """
        ...

    def remove_alias(self, model: str, alias: str, actor: str) -> None: ...

    def set_traffic(self, model: str, change: TrafficChange, actor: str) -> TrafficRevision:
        """Decides which versions answer requests that name none; the newest revision then.

        Units stay with their variants as far as the shares allow. Raises InvalidArgument for a
        policy that cannot be meant, or whose versions take other requests than the default, and
        Conflict for versions that are not deployed, without a default, and for a change that is
        based on another revision than the newest.
        """
        ...

    def traffic_history(
        self, model: str, limit: int = 100, before: int | None = None
    ) -> Sequence[TrafficRevision]:
        """The revisions of the traffic policy, the newest first; only those below `before`, if
        given. Raises InvalidArgument unless `limit` is between 1 and 1000.
        """
        ...

    def edit_model(self, name: str, edit: ModelEdit, actor: str) -> Model:
        """Changes description, tags or the need for approval; the model as it is then."""
        ...

    def edit_tags(
        self, model: str, version: int, tags: dict[str, str | None], actor: str
    ) -> Version:
        """Sets these tags of a version and removes those of None; others stay."""
        ...

    def card(self, model: str, version: int | None = None) -> str:
        """The card of a model, or of a version: Markdown, empty if there is none."""
        ...

    def set_card(self, model: str, version: int | None, card: str, actor: str) -> None:
        """Replaces a card; the audit log keeps digest and size of the old and the new one."""
        ...

    def set_approval(
        self, model: str, version: int, approval: str, actor: str, reason: str = ""
    ) -> Version:
        """Sets the state of approval to none, pending, approved or rejected."""
        ...

    def delete_version(self, model: str, version: int, actor: str) -> None:
        """Hides a version until it is restored or purged.

        Raises Conflict while it is deployed, the default or the target of an alias.
        """
        ...

    def restore_version(self, model: str, version: int, actor: str) -> None: ...

    def delete_model(self, name: str, actor: str) -> None:
        """Hides a model with all its versions. Raises Conflict while anything of it is in use."""
        ...

    def restore_model(self, name: str, actor: str) -> None: ...

    def deleted_before(self, moment: datetime) -> Sequence[tuple[str, int]]:
        """What `purge` would remove, by name and number."""
        ...

    def purge(self, deleted_before: datetime, actor: str) -> Sequence[tuple[str, int]]:
        """Removes for good what was deleted before a time: models and versions as pairs of name and
        number. Names, numbers and the audit log stay taken. What a batch job scores with stays
        until the job has ended.
        """
        ...

    def referenced(self, after_purge: datetime | None = None) -> Collection[str]:
        """The digests of all files that versions stand on, deleted ones included; of those that
        would be left after a purge of that time, if given.
        """
        ...

    def discard(
        self, digests: Collection[str], remove: Callable[[str], None], actor: str
    ) -> Sequence[str]:
        """Calls `remove` for each digest no version stands on; returns those it was called for.

        Nothing can be registered with such a file meanwhile, so what is removed cannot be what a
        version is just being registered with. Raises what `remove` raises.
        """
        ...

    def audit(
        self,
        model: str | None = None,
        limit: int = 100,
        before: int | None = None,
        actions: Collection[str] | None = None,
        until: datetime | None = None,
        sees: Sees | None = None,
    ) -> Sequence[AuditEntry]:
        """The newest changes first, of one model or of all; only those with a revision below
        `before`, of these actions, not later than `until`, and of models that are seen, if given.

        Raises InvalidArgument unless `limit` is between 1 and 1000.
        """
        ...

    def served_at(self, model: str, at: datetime) -> Served:
        """What the registry wanted of a model at a time, and who decided it.

        Raises InvalidArgument for a time without a zone.
        """
        ...

    def verify_audit(self) -> AuditCheck:
        """Walks the hash chain of the whole audit log."""
        ...

    def close(self) -> None:
        """Lets go of connections; the registry cannot be used afterwards."""
        ...
