"""API keys as they are recorded, and the rules for making them."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from augurium.access.patterns import check_patterns, covers
from augurium.access.principal import Principal
from augurium.access.scopes import Scope, with_held
from augurium.core.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from augurium.core.identifiers import check_name

MOST_LIVE = 2
SHORTEST_LIFE_S = 1.0
LONGEST_LIFE_S = 10 * 365 * 86400.0
MAX_RATE = 1e6
MAX_BURST = 1_000_000


class KeyDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. No `models` means all, no `expires_in_s` for ever, `rate` 0 no limit.

    `rate` is in requests per second, `burst` how many may come at once; 0 means a second's worth.
    """

    name: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...] = ()
    expires_in_s: float | None = None
    rate: Annotated[float, Meta(ge=0, le=MAX_RATE)] = 0.0
    burst: Annotated[int, Meta(ge=0, le=MAX_BURST)] = 0


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. `last_used_at` is right to a minute or two."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...] = ()
    rate: float = 0.0
    burst: int = 0
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def live(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key with its text, which is told this once."""

    key: str
    record: Key


class LiveKey(msgspec.Struct, frozen=True):
    """What a process needs to know of a key that opens something. `digest` is of the secret."""

    id: str
    name: str
    digest: bytes
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    rate: float
    burst: int
    expires_at: float | None

    def principal(self) -> Principal:
        """Who calls with this key."""
        return Principal(
            self.name,
            f"key:{self.id}",
            self.scopes,
            self.models,
            self.rate,
            self.burst,
            math.inf if self.expires_at is None else self.expires_at,
        )


def live_key(key: Key, digest: bytes) -> LiveKey:
    """What a process needs to know of a key."""
    return LiveKey(
        id=key.id,
        name=key.name,
        digest=digest,
        scopes=key.scopes,
        models=key.models,
        rate=key.rate,
        burst=key.burst,
        expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
    )


def new_key(key_id: str, draft: KeyDraft, grantor: Principal, now: datetime) -> Key:
    """The record of a new key.

    Raises InvalidArgument for a draft that breaks a rule, PermissionDenied for one that would open
    more than the grantor may.
    """
    check_draft(draft)
    check_grant(draft.scopes, draft.models, grantor)
    life_s = draft.expires_in_s
    return Key(
        id=key_id,
        name=draft.name,
        scopes=tuple(sorted(set(draft.scopes))),
        models=check_patterns(draft.models),
        rate=draft.rate,
        burst=draft.burst,
        created_at=now,
        created_by=grantor.name,
        expires_at=None if life_s is None else now + timedelta(seconds=life_s),
    )


def successor(key_id: str, old: Key, grantor: Principal, now: datetime) -> Key:
    """A key that opens what `old` does, for as long. Raises PermissionDenied as `new_key`."""
    check_grant(old.scopes, old.models, grantor)
    return msgspec.structs.replace(
        old,
        id=key_id,
        created_at=now,
        created_by=grantor.name,
        expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
        last_used_at=None,
    )


def described(key: Key) -> dict[str, Any]:
    """What the audit log says of a new key; such an entry belongs to no model."""
    details: dict[str, Any] = {"key": key.name, "id": key.id, "scopes": list(key.scopes)}
    if key.models:
        details["models"] = list(key.models)
    if key.expires_at is not None:
        details["expires_at"] = key.expires_at.isoformat()
    if key.rate:
        details |= {"rate": key.rate, "burst": key.burst}
    return details


def check_draft(draft: KeyDraft) -> None:
    """Raises InvalidArgument for a bad name, no scopes, bad patterns, life, rate or burst."""
    check_name("key name", draft.name)
    check_patterns(draft.models)
    if not draft.scopes:
        raise InvalidArgument(f"a key needs a scope; give one or more of {', '.join(Scope)}")
    life_s = draft.expires_in_s
    if life_s is not None and not SHORTEST_LIFE_S <= life_s <= LONGEST_LIFE_S:
        raise InvalidArgument(
            f"a key may live for {SHORTEST_LIFE_S:g} s to {LONGEST_LIFE_S:g} s (ten years), got"
            f" {life_s:g} s"
        )
    if not 0 <= draft.rate <= MAX_RATE or not 0 <= draft.burst <= MAX_BURST:
        raise InvalidArgument(f"rate and burst may be 0 to {MAX_RATE:g}")
    if draft.burst and not draft.rate:
        raise InvalidArgument("a burst goes with a rate; give both")


def check_grant(scopes: Iterable[Scope], models: Iterable[str], grantor: Principal) -> None:
    """Raises PermissionDenied for scopes or models that the grantor does not have."""
    beyond = with_held(scopes) - grantor.scopes
    if beyond:
        raise PermissionDenied(
            f"your credential has no scope {', '.join(sorted(beyond))}, so it cannot give it away"
        )
    if not within(models, grantor):
        raise PermissionDenied(
            f"your credential is for the models {', '.join(grantor.models)}; it can give away these"
            " or fewer (--models)"
        )


def within(models: Iterable[str], grantor: Principal) -> bool:
    """Whether the grantor may see all that these patterns match."""
    if not grantor.models:
        return True
    wanted = tuple(models)
    return bool(wanted) and all(covers(grantor.models, pattern) for pattern in wanted)


def check_not_taken(name: str, known: Sequence[Key], now: datetime) -> None:
    """Raises Conflict when a live key has this name."""
    if any(key.live(now) for key in known):
        raise Conflict(
            f"there is a live key '{name}' already; choose another name, or replace it with"
            f" `augurium keys rotate {name}`"
        )


def to_rotate(name: str, known: Sequence[Key], grantor: Principal, now: datetime) -> Key:
    """The live key that a rotation follows. Raises NotFound, Conflict when there are two."""
    live = [key for key in known if key.live(now) and within(key.models, grantor)]
    if not live:
        raise key_not_found(name)
    if len(live) >= MOST_LIVE:
        oldest = min(live, key=lambda key: key.created_at)
        raise Conflict(
            f"'{name}' has {MOST_LIVE} live keys already; end the older one first with"
            f" `augurium keys revoke {oldest.id}`"
        )
    return live[0]


def to_revoke(which: str, known: Sequence[Key], grantor: Principal) -> list[Key]:
    """The key of that id, or all of that name. Raises NotFound when there is none to be revoked."""
    mine = [key for key in known if key.revoked_at is None and within(key.models, grantor)]
    found = [key for key in mine if key.id == which] or [key for key in mine if key.name == which]
    if not found:
        raise key_not_found(which)
    return found


def key_not_found(which: str) -> NotFound:
    """What is said of a key that is not there, or not the caller's to see."""
    return NotFound(f"there is no live key '{which[:128]}'; `augurium keys list` shows them")
