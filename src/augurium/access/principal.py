"""A principal: who calls, and what they may do."""

from collections.abc import Iterable
from math import inf

from augurium.access.patterns import check_patterns, covers
from augurium.access.rights import allowed_operations
from augurium.access.scopes import ALL_SCOPES, Scope, Scopes, with_held

LONGEST_NAME = 128
MOST_REMEMBERED = 4096


class Principal:
    """A verified caller: a key, the subject of a token, a certificate's owner, or this machine.

    `name` is what the audit log says; `identity` tells apart callers of the same name and is what
    their rate is counted under. No `models` means all. `rate` is in requests per second, 0 for no
    limit. `expires_at` is in seconds of the wall clock.
    """

    __slots__ = (
        "_seen",
        "burst",
        "expires_at",
        "identity",
        "models",
        "name",
        "noted_at",
        "operations",
        "rate",
        "scopes",
    )

    def __init__(
        self,
        name: str,
        identity: str,
        scopes: Iterable[Scope],
        models: Iterable[str] = (),
        rate: float = 0.0,
        burst: int = 0,
        expires_at: float = inf,
    ) -> None:
        self.name = name
        self.identity = identity
        self.scopes: Scopes = with_held(scopes)
        self.models = check_patterns(models)
        self.rate = rate
        self.burst = burst
        self.expires_at = expires_at
        self.noted_at = 0.0
        # one look-up per request instead of comparing sets
        self.operations = allowed_operations(self.scopes)
        self._seen: dict[str, bool] = {}

    def sees(self, model: str) -> bool:
        """Whether a model of this name exists for the caller."""
        if not self.models:
            return True
        found = self._seen.get(model)
        if found is None:
            if len(self._seen) >= MOST_REMEMBERED:
                self._seen.clear()
            found = len(model) <= LONGEST_NAME and covers(self.models, model)
            self._seen[model[: LONGEST_NAME + 1]] = found
        return found

    def sees_entry(self, model: str) -> bool:
        """Whether what is said of a model is for the caller; what is of no model is for those who
        see every one.
        """
        return not self.models or (bool(model) and self.sees(model))

    def named(self, name: str) -> "Principal":
        """One who may do the same under another name."""
        return Principal(name, self.identity, self.scopes, self.models)


LOCAL = Principal("local", "local", ALL_SCOPES)
"""Whoever calls a node that asks for no keys."""
