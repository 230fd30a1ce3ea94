"""The registry in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.core.identifiers import check_alias, check_model_name
from augurium.core.traffic_policy import TrafficRevision
from augurium.registry.chain import AuditCheck, chained, check_chain
from augurium.registry.draft_limits import (
    check_actor,
    check_card,
    check_draft,
    check_edit,
    check_reason,
)
from augurium.registry.edits import edit_details, edited, merged_tags, tag_details, text_details
from augurium.registry.history import TRAFFIC_ACTIONS, check_moment, served_at
from augurium.registry.memory_shelf import Shelf
from augurium.registry.paging import check_page, cursor_after, place_of
from augurium.registry.records import (
    AuditEntry,
    Model,
    ModelEdit,
    SearchPage,
    Served,
    TrafficChange,
    Version,
    VersionDraft,
    VersionSummary,
    numbered,
)
from augurium.registry.registry import Holds, Sees
from augurium.registry.rules import (
    APPROVAL_ACTIONS,
    alias_not_found,
    artifact_missing,
    check_approval,
    check_audit_limit,
    check_default,
    check_delete,
    check_deploy,
    check_live,
    check_parent,
    check_repetition,
    check_same_spelling,
    check_seen,
    check_undeploy,
    model_not_found,
    name_taken,
    registration_details,
)
from augurium.registry.search_match import matches, summary
from augurium.registry.search_query import Term, parse_query
from augurium.registry.traffic_rules import (
    check_new_default,
    check_no_policy,
    check_not_named,
    current_revision,
    next_revision,
    revision_in,
    traffic_entry,
)


class MemoryRegistry:
    """Keeps everything until the process ends. May be used from several threads.

    `holds` asks the artifact store whether it has a file; without it files are not looked for.
    """

    def __init__(self, clock: Clock, holds: Holds | None = None) -> None:
        self._clock = clock
        self._holds = holds
        self._lock = threading.RLock()
        self._shelves: dict[str, Shelf] = {}
        self._spellings: dict[str, str] = {}
        self._keys: dict[str, tuple[str, int]] = {}
        self._audit: list[AuditEntry] = []
        self._in_use: Callable[[], Collection[tuple[str, int]]] = tuple
        self._closed = False

    def revision(self) -> int:
        with self._open():
            return len(self._audit)

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        check_model_name(model)
        check_draft(draft)
        with self._changing(actor):
            known = self._keys.get(draft.idempotency_key or "")
            if known is not None:
                first = self.version(*known)
                check_repetition(first, model, draft)
                return first
            shelf = self._shelf_for(model)
            check_parent(model, draft, shelf.model.latest_version)
            self._check_held(draft)
            number = shelf.model.latest_version + 1
            version = numbered(draft, model, number, self._now())
            self._shelves[model] = shelf
            self._spellings[model.casefold()] = model
            shelf.change(latest_version=number)
            if draft.idempotency_key is not None:
                self._keys[draft.idempotency_key] = (model, number)
            self._record(actor, "register", model, number, **registration_details(draft))
            return shelf.put(version)

    def models(self, deleted: bool = False) -> Sequence[Model]:
        with self._open():
            found = [self.model(shelf.model.name) for shelf in self._present()]
            return [model for model in found if deleted or model.deleted_at is None]

    def model(self, name: str) -> Model:
        with self._open():
            model = self._shelf(name).model
            return msgspec.structs.replace(
                model, aliases=dict(model.aliases), tags=dict(model.tags)
            )

    def versions(self, model: str, deleted: bool = False) -> Sequence[Version]:
        with self._open():
            shelf = self._shelf(model)
            found = [shelf.take(number) for number in shelf.versions]
            return [version for version in found if deleted or version.deleted_at is None]

    def version(self, model: str, version: int) -> Version:
        with self._open():
            return self._shelf(model).take(version)

    def search(
        self,
        query: str = "",
        limit: int = 100,
        cursor: str | None = None,
        sees: Sees | None = None,
    ) -> SearchPage:
        check_page(limit)
        terms = parse_query(query)
        after = ("", 0) if cursor is None else place_of(cursor, query)
        with self._open():
            every = (one for one in self._find(terms, after) if sees is None or sees(one.model))
            found = list(islice(every, limit + 1))
        last = found[limit - 1] if len(found) > limit else None
        more = None if last is None else cursor_after(query, last.model, last.version)
        return SearchPage(versions=tuple(found[:limit]), cursor=more)

    def deployed(self) -> Sequence[Version]:
        with self._open():
            return [
                shelf.take(version)
                for shelf in self._present()
                for version in shelf.model.deployed_versions
            ]

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            stored = shelf.take(version)
            if deployed == stored.deployed:
                return
            if deployed:
                check_deploy(shelf.model, stored)
            else:
                check_undeploy(shelf.model, version)
                check_not_named(shelf.model, version, "undeployed")
            shelf.put(msgspec.structs.replace(stored, deployed=deployed))
            numbers = set(shelf.model.deployed_versions) ^ {version}
            shelf.change(deployed_versions=tuple(sorted(numbers)))
            self._record(actor, "deploy" if deployed else "undeploy", model, version)

    def set_default(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            found = shelf.take(version)
            check_live(shelf.model, found)
            check_default(shelf.model, version)
            previous = shelf.model.default_version
            if previous == version:
                return
            check_new_default(shelf.model, found, shelf.take)
            shelf.change(default_version=version)
            self._record(actor, "set_default", model, version, previous=previous)

    def clear_default(self, model: str, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            previous = shelf.model.default_version
            if previous is not None:
                check_no_policy(shelf.model)
                shelf.change(default_version=None)
                self._record(actor, "clear_default", model, previous)

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        check_alias(alias)
        with self._changing(actor):
            shelf = self._shelf(model)
            check_live(shelf.model, shelf.take(version))
            previous = shelf.model.aliases.get(alias)
            if previous == version:
                return
            shelf.change(aliases=dict(sorted((shelf.model.aliases | {alias: version}).items())))
            self._record(actor, "set_alias", model, version, alias=alias, previous=previous)

    def remove_alias(self, model: str, alias: str, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            aliases = dict(shelf.model.aliases)
            version = aliases.pop(alias, None)
            if version is None:
                raise alias_not_found(model, alias)
            shelf.change(aliases=aliases)
            self._record(actor, "remove_alias", model, version, alias=alias)

    def set_traffic(self, model: str, change: TrafficChange, actor: str) -> TrafficRevision:
        with self._changing(actor):
            shelf = self._shelf(model)
            revision = next_revision(shelf.model, change, shelf.take, actor, self._now())
            if revision is None:
                return current_revision(shelf.model)
            shelf.change(traffic=revision)
            action, details = traffic_entry(revision)
            self._record(actor, action, model, None, **details)
            return revision

    def traffic_history(
        self, model: str, limit: int = 100, before: int | None = None
    ) -> Sequence[TrafficRevision]:
        check_audit_limit(limit)
        with self._open():
            self._shelf(model)
            told = (
                revision_in(entry)
                for entry in reversed(self._audit)
                if entry.model == model and entry.action in TRAFFIC_ACTIONS
            )
            older = (one for one in told if before is None or one.revision < before)
            return list(islice(older, limit))

    def edit_model(self, name: str, edit: ModelEdit, actor: str) -> Model:
        check_edit(edit)
        with self._changing(actor):
            shelf = self._shelf(name)
            check_live(shelf.model)
            before, shelf.model = shelf.model, edited(shelf.model, edit)
            details = edit_details(before, shelf.model)
            if details:
                self._record(actor, "edit", name, None, **details)
            return self.model(name)

    def edit_tags(
        self, model: str, version: int, tags: dict[str, str | None], actor: str
    ) -> Version:
        check_edit(ModelEdit(tags=tags))
        with self._changing(actor):
            shelf, before = self._live(model, version)
            after = msgspec.structs.replace(before, tags=merged_tags(before.tags, tags))
            if after.tags != before.tags:
                shelf.put(after)
                details = tag_details(before.tags, after.tags)
                self._record(actor, "edit", model, version, tags=details)
            return shelf.take(version)

    def card(self, model: str, version: int | None = None) -> str:
        with self._open():
            shelf = self._shelf(model)
            return shelf.card if version is None else shelf.take(version).card

    def set_card(self, model: str, version: int | None, card: str, actor: str) -> None:
        check_card(card)
        with self._changing(actor):
            shelf, before = self._shelf(model), self.card(model, version)
            check_live(shelf.model)
            if card == before:
                return
            if version is None:
                shelf.card = card
            else:
                shelf, known = self._live(model, version)
                shelf.put(msgspec.structs.replace(known, card=card))
            self._record(actor, "set_card", model, version, **text_details(before, card))

    def set_approval(
        self, model: str, version: int, approval: str, actor: str, reason: str = ""
    ) -> Version:
        check_approval(approval)
        check_reason(reason)
        with self._changing(actor):
            shelf, before = self._live(model, version)
            if before.approval == approval:
                return before
            action, previous = APPROVAL_ACTIONS[approval], before.approval
            self._record(actor, action, model, version, previous=previous, reason=reason)
            return shelf.put(msgspec.structs.replace(before, approval=approval))

    def delete_version(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            stored = shelf.take(version)
            check_live(shelf.model)
            if stored.deleted_at is None:
                check_delete(shelf.model, version)
                shelf.put(msgspec.structs.replace(stored, deleted_at=self._now()))
                self._record(actor, "delete", model, version)

    def restore_version(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(model)
            stored = shelf.take(version)
            check_live(shelf.model)
            if stored.deleted_at is not None:
                shelf.put(msgspec.structs.replace(stored, deleted_at=None))
                self._record(actor, "restore", model, version)

    def delete_model(self, name: str, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(name)
            if shelf.model.deleted_at is None:
                check_delete(shelf.model)
                shelf.change(deleted_at=self._now())
                self._record(actor, "delete", name, None)

    def restore_model(self, name: str, actor: str) -> None:
        with self._changing(actor):
            shelf = self._shelf(name)
            if shelf.model.deleted_at is not None:
                shelf.change(deleted_at=None)
                self._record(actor, "restore", name, None)

    def deleted_before(self, moment: datetime) -> Sequence[tuple[str, int]]:
        check_moment(moment)
        with self._open():
            used = self._in_use()
            return [
                (shelf.model.name, number)
                for shelf in self._present()
                for number in shelf.purgeable(moment, used)
            ]

    def purge(self, deleted_before: datetime, actor: str) -> Sequence[tuple[str, int]]:
        check_moment(deleted_before)
        with self._changing(actor):
            used = self._in_use()
            gone = [shelf for shelf in self._present() if shelf.goes(deleted_before, used)]
            found = self.deleted_before(deleted_before)
            for model, number in found:
                del self._shelves[model].versions[number]
                self._record(actor, "purge", model, number)
            for shelf in gone:
                shelf.purged = True
                self._record(actor, "purge", shelf.model.name, None)
            self._keys = {key: place for key, place in self._keys.items() if place not in found}
            return found

    def referenced(self, after_purge: datetime | None = None) -> Collection[str]:
        with self._open():
            gone = set() if after_purge is None else set(self.deleted_before(after_purge))
            return {
                artifact.digest
                for name, shelf in self._shelves.items()
                for version in shelf.versions
                if (name, version) not in gone
                for artifact in shelf.take(version).artifacts()
            }

    def discard(
        self, digests: Collection[str], remove: Callable[[str], None], actor: str
    ) -> Sequence[str]:
        with self._changing(actor):
            unneeded = sorted(set(digests) - set(self.referenced()))
            for digest in unneeded:
                remove(digest)
            if unneeded:
                self._record(actor, "discard", "", None, digests=unneeded)
            return unneeded

    def audit(
        self,
        model: str | None = None,
        limit: int = 100,
        before: int | None = None,
        actions: Collection[str] | None = None,
        until: datetime | None = None,
        sees: Sees | None = None,
    ) -> Sequence[AuditEntry]:
        check_audit_limit(limit)
        with self._open():
            if model is not None:
                check_seen(model, sees)
                self._known(model)
            wanted = (
                entry
                for entry in reversed(self._audit)
                if model in (None, entry.model)
                and (before is None or entry.revision < before)
                and (actions is None or entry.action in actions)
                and (until is None or entry.at <= until)
                and (sees is None or sees(entry.model))
            )
            return list(islice(wanted, limit))

    def served_at(self, model: str, at: datetime) -> Served:
        check_moment(at)
        with self._open():
            self._known(model)
            return served_at(model, at, [entry for entry in self._audit if entry.model == model])

    def verify_audit(self) -> AuditCheck:
        with self._open():
            return check_chain(self._audit, len(self._audit))

    def note(
        self,
        actor: str,
        action: str,
        details: Mapping[str, Any],
        model: str = "",
        version: int | None = None,
    ) -> None:
        """Adds a change of something that is kept beside the models, such as keys, to the log."""
        with self._open():
            self._record(actor, action, model, version, **details)

    def spare(self, in_use: Callable[[], Collection[tuple[str, int]]]) -> None:
        """No version, as a pair of model and number, is purged while it is in use."""
        self._in_use = in_use

    def close(self) -> None:
        self._closed = True

    def _open(self) -> "threading.RLock":
        if self._closed:
            raise NotReady("the registry is closed; open it again")
        return self._lock

    def _changing(self, actor: str) -> "threading.RLock":
        check_actor(actor)
        return self._open()

    def _find(self, terms: tuple[Term, ...], after: tuple[str, int]) -> Iterator[VersionSummary]:
        for shelf in self._present():
            for number in sorted(shelf.versions):
                version = shelf.take(number)
                beyond = (shelf.model.name, number) > after
                if beyond and matches(terms, shelf.model, shelf.card, version):
                    yield summary(shelf.model, version)

    def _present(self) -> list[Shelf]:
        shelves = [self._shelves[name] for name in sorted(self._shelves)]
        return [shelf for shelf in shelves if not shelf.purged]

    def _known(self, name: str) -> Shelf:
        try:
            return self._shelves[name]
        except KeyError:
            raise model_not_found(name) from None

    def _shelf(self, name: str) -> Shelf:
        shelf = self._known(name)
        if shelf.purged:
            raise model_not_found(name)
        return shelf

    def _live(self, model: str, version: int) -> tuple[Shelf, Version]:
        shelf = self._shelf(model)
        found = shelf.take(version)
        check_live(shelf.model, found)
        return shelf, found

    def _shelf_for(self, model: str) -> Shelf:
        check_same_spelling(model, self._spellings.get(model.casefold(), model))
        if model not in self._shelves:
            return Shelf(Model(name=model, created_at=self._now()))
        if self._shelves[model].purged:
            raise name_taken(model)
        check_live(self._shelves[model].model)
        return self._shelves[model]

    def _check_held(self, draft: VersionDraft) -> None:
        for artifact in draft.artifacts():
            if self._holds is not None and not self._holds(artifact.digest):
                raise artifact_missing(artifact.digest)

    def _now(self) -> datetime:
        now = self._clock.now()
        return max(now, self._audit[-1].at) if self._audit else now

    def _record(
        self, actor: str, action: str, model: str, version: int | None, **details: Any
    ) -> None:
        entry = AuditEntry(
            revision=len(self._audit) + 1,
            at=self._now(),
            actor=actor,
            action=action,
            model=model,
            version=version,
            details=details,
        )
        self._audit.append(chained(self._audit[-1].hash if self._audit else "", entry))
