"""The registry in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.core.identifiers import check_alias, check_model_name
from augurium.registry.draft_limits import check_actor, check_draft
from augurium.registry.records import AuditEntry, Model, Version, VersionDraft, numbered
from augurium.registry.rules import (
    alias_not_found,
    check_audit_limit,
    check_default,
    check_repetition,
    check_same_spelling,
    check_undeploy,
    check_version,
    model_not_found,
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Version)


@dataclass
class _Shelf:
    """One model. Versions are kept as JSON, so that nobody outside holds a part of them."""

    model: Model
    versions: list[bytes] = field(default_factory=list)


class MemoryRegistry:
    """Keeps everything until the process ends. May be used from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._shelves: dict[str, _Shelf] = {}
        self._spellings: dict[str, str] = {}
        self._keys: dict[str, tuple[str, int]] = {}
        self._audit: list[AuditEntry] = []
        self._closed = False

    def revision(self) -> int:
        with self._open():
            return len(self._audit)

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        check_model_name(model)
        check_draft(draft)
        check_actor(actor)
        with self._open():
            known = self._keys.get(draft.idempotency_key or "")
            if known is not None:
                first = self.version(*known)
                check_repetition(first, model, draft)
                return first
            shelf = self._shelf_for(model)
            number = shelf.model.latest_version + 1
            version = numbered(draft, model, number, self._clock.now())
            shelf.versions.append(_encoder.encode(version))
            shelf.model = msgspec.structs.replace(shelf.model, latest_version=number)
            if draft.idempotency_key is not None:
                self._keys[draft.idempotency_key] = (model, number)
            self._record(actor, "register", model, number, source=draft.source.digest)
            return self.version(model, number)

    def models(self) -> Sequence[Model]:
        with self._open():
            return [self.model(name) for name in sorted(self._shelves)]

    def model(self, name: str) -> Model:
        with self._open():
            model = self._shelf(name).model
            return msgspec.structs.replace(model, aliases=dict(model.aliases))

    def versions(self, model: str) -> Sequence[Version]:
        with self._open():
            return [_decoder.decode(version) for version in self._shelf(model).versions]

    def version(self, model: str, version: int) -> Version:
        with self._open():
            shelf = self._shelf(model)
            check_version(shelf.model, version)
            return _decoder.decode(shelf.versions[version - 1])

    def deployed(self) -> Sequence[Version]:
        with self._open():
            return [
                self.version(model.name, version)
                for model in self.models()
                for version in model.deployed_versions
            ]

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        check_actor(actor)
        with self._open():
            shelf = self._shelf(model)
            stored = self.version(model, version)
            if deployed == stored.deployed:
                return
            if not deployed:
                check_undeploy(shelf.model, version)
            shelf.versions[version - 1] = _encoder.encode(
                msgspec.structs.replace(stored, deployed=deployed)
            )
            numbers = set(shelf.model.deployed_versions) ^ {version}
            shelf.model = msgspec.structs.replace(
                shelf.model, deployed_versions=tuple(sorted(numbers))
            )
            self._record(actor, "deploy" if deployed else "undeploy", model, version)

    def set_default(self, model: str, version: int, actor: str) -> None:
        check_actor(actor)
        with self._open():
            shelf = self._shelf(model)
            check_version(shelf.model, version)
            check_default(shelf.model, version)
            previous = shelf.model.default_version
            if previous == version:
                return
            shelf.model = msgspec.structs.replace(shelf.model, default_version=version)
            self._record(actor, "set_default", model, version, previous=previous)

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        check_alias(alias)
        check_actor(actor)
        with self._open():
            shelf = self._shelf(model)
            check_version(shelf.model, version)
            previous = shelf.model.aliases.get(alias)
            if previous == version:
                return
            aliases = dict(sorted((shelf.model.aliases | {alias: version}).items()))
            shelf.model = msgspec.structs.replace(shelf.model, aliases=aliases)
            self._record(actor, "set_alias", model, version, alias=alias, previous=previous)

    def remove_alias(self, model: str, alias: str, actor: str) -> None:
        check_actor(actor)
        with self._open():
            shelf = self._shelf(model)
            aliases = dict(shelf.model.aliases)
            version = aliases.pop(alias, None)
            if version is None:
                raise alias_not_found(model, alias)
            shelf.model = msgspec.structs.replace(shelf.model, aliases=aliases)
            self._record(actor, "remove_alias", model, version, alias=alias)

    def audit(self, model: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        check_audit_limit(limit)
        with self._open():
            if model is not None:
                self._shelf(model)
            newest_first = reversed(self._audit)
            return [entry for entry in newest_first if model in (None, entry.model)][:limit]

    def close(self) -> None:
        self._closed = True

    def _open(self) -> "threading.RLock":
        if self._closed:
            raise NotReady("the registry is closed; open it again")
        return self._lock

    def _shelf(self, name: str) -> _Shelf:
        try:
            return self._shelves[name]
        except KeyError:
            raise model_not_found(name) from None

    def _shelf_for(self, model: str) -> _Shelf:
        check_same_spelling(model, self._spellings.setdefault(model.casefold(), model))
        if model not in self._shelves:
            self._shelves[model] = _Shelf(Model(name=model, created_at=self._clock.now()))
        return self._shelves[model]

    def _record(self, actor: str, action: str, model: str, version: int, **details: Any) -> None:
        self._audit.append(
            AuditEntry(
                at=self._clock.now(),
                actor=actor,
                action=action,
                model=model,
                version=version,
                details=details,
            )
        )
