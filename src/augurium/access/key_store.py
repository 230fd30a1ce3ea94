"""The port of the key store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from augurium.access.keys import IssuedKey, Key, KeyDraft, LiveKey
from augurium.access.principal import Principal


class KeyStore(Protocol):
    """API keys, kept with the registry. Every method blocks; every change is one transaction.

    A change is written to the registry's audit log in the same transaction and makes its revision
    larger. Only digests of secrets are kept.
    """

    def create(self, draft: KeyDraft, grantor: Principal) -> IssuedKey:
        """Makes a key.

        Raises InvalidArgument, PermissionDenied for more than the grantor may, Conflict for a name
        that a live key has.
        """
        ...

    def rotate(self, name: str, grantor: Principal) -> IssuedKey:
        """Makes a second key like the live one of that name. Raises NotFound, PermissionDenied, and
        Conflict when there are two already.
        """
        ...

    def revoke(self, which: str, grantor: Principal) -> Sequence[Key]:
        """Ends the key of that id, or all of that name. Raises NotFound."""
        ...

    def all(self) -> Sequence[Key]:
        """All keys that ever were, by name and age."""
        ...

    def live(self) -> Sequence[LiveKey]:
        """The keys that open something now, by id."""
        ...

    def note_use(self, times: Mapping[str, datetime]) -> None:
        """Notes when keys, by id, were last used; no change in the sense of the audit log."""
        ...
