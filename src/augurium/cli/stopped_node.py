"""The keys of a node that does not run, by its folder: how the first key is made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

import msgspec

from augurium.access.key_store import KeyStore
from augurium.access.keys import KeyDraft
from augurium.access.principal import LOCAL
from augurium.access.scopes import scope_named
from augurium.access.sql_key_store import SqlKeyStore
from augurium.cli.serve import loaded_settings
from augurium.client import results
from augurium.client.key_limits import KeyLimits
from augurium.core.clock import SystemClock
from augurium.core.errors import Conflict
from augurium.core.home import Home
from augurium.node.preflight import locked_home
from augurium.registry.database import open_database, registry_url


class StoppedNode:
    """Answers as `Client` does for keys, straight from the database."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def keys(self) -> tuple[results.Key, ...]:
        return tuple(_plain(key) for key in self._store.all())

    def create_key(
        self, name: str, scopes: Sequence[str], **limits: Unpack[KeyLimits]
    ) -> results.IssuedKey:
        known = tuple(scope_named(scope) for scope in scopes)
        draft = KeyDraft(
            name=name,
            scopes=known,
            models=tuple(limits.get("models", ())),
            expires_in_s=limits.get("expires_in_s"),
            rate=limits.get("rate", 0.0),
            burst=limits.get("burst", 0),
        )
        issued = self._store.create(draft, LOCAL)
        return results.IssuedKey(issued.key, _plain(issued.record))

    def rotate_key(self, name: str) -> results.IssuedKey:
        issued = self._store.rotate(name, LOCAL)
        return results.IssuedKey(issued.key, _plain(issued.record))

    def revoke_key(self, which: str) -> tuple[results.Key, ...]:
        return tuple(_plain(key) for key in self._store.revoke(which, LOCAL))


@contextmanager
def stopped_node(folder: Path | None, config: Path | None) -> Iterator[StoppedNode]:
    """The node of a folder, or of the one its settings name. Raises Conflict while it runs."""
    settings = loaded_settings(config, {"node.home": str(folder) if folder else None}).settings
    home = Home(Path(settings.node.home))
    try:
        with locked_home(home):
            engine = open_database(registry_url(settings.storage, home.database))
            try:
                yield StoppedNode(SqlKeyStore(engine, SystemClock(), settings.access.environment))
            finally:
                engine.dispose()
    except Conflict as error:
        if "another node runs" not in str(error):
            raise
        raise Conflict(
            f"a node runs in {home.path}; leave --home and --config out and use a key with scope"
            " admin (AUGURIUM_KEY), or stop the node first"
        ) from error


def _plain(key: object) -> results.Key:
    return msgspec.convert(key, results.Key, from_attributes=True)
