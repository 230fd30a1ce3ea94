"""What the tests of access share: a ledger in a temporary folder, and keys."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from augurium.access.key_text import KeyText, new_key_text
from augurium.access.keys import LiveKey
from augurium.access.ledger import Ledger
from augurium.access.scopes import Scope


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


@pytest.fixture
def make_key() -> Callable[..., tuple[KeyText, LiveKey]]:
    """A key with its text: `make_key("ci", Scope.DEPLOY, models=("a*",))`."""

    def make(name: str, *scopes: Scope, **limits: Any) -> tuple[KeyText, LiveKey]:
        text = new_key_text("live")
        fields: dict[str, Any] = {"models": (), "rate": 0.0, "burst": 0, "expires_at": None}
        key = LiveKey(id=text.id, name=name, digest=text.digest, scopes=scopes, **fields | limits)
        return text, key

    return make
