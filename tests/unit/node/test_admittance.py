"""What must hold before a node lets anyone in."""

from pathlib import Path
from typing import Any

import pytest

from augurium.access.keys import KeyDraft
from augurium.access.principal import LOCAL
from augurium.access.scopes import Scope
from augurium.access.sql_key_store import SqlKeyStore
from augurium.core.clock import SystemClock
from augurium.core.errors import InvalidArgument, PermissionDenied
from augurium.core.home import NodeConfig
from augurium.core.settings import AccessSettings, NodeSettings, Settings, TlsSettings
from augurium.node.admittance import check_anyone_may_call, secured
from augurium.registry.database import open_database, sqlite_url

TOKENS: dict[str, Any] = {
    "issuer": "https://a.example",
    "audience": "augurium",
    "jwks": "https://a.example/keys",
}


def settings(host: str = "127.0.0.1", tls: bool = False, **access: Any) -> Settings:
    return Settings(
        node=NodeSettings(host=host),
        access=AccessSettings(**access),
        tls=TlsSettings(certificate="c.pem", private_key="k.pem") if tls else TlsSettings(),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_no_keys(host: str) -> None:
    assert not secured(settings(host)).access.required


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "node.example", ""])
def test_another_address_needs_encryption_and_says_how(host: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        secured(settings(host))

    for way in ("tls.certificate", "--access-allow-plaintext", "--host 127.0.0.1"):
        assert way in str(refused.value)


@pytest.mark.parametrize("way", [{"tls": True}, {"allow_plaintext": True}])
def test_another_address_always_needs_keys(way: dict[str, bool]) -> None:
    assert secured(settings("0.0.0.0", **way)).access.required


@pytest.mark.parametrize(
    ("access", "hint"),
    [
        ({"issuer": "https://a.example"}, "access.audience"),
        ({"issuer": "https://a.example", "audience": "x"}, "access.jwks"),
        ({"jwks": "keys.json"}, "access.issuer"),
        (TOKENS | {"jwks": "http://a.example/keys"}, "use https"),
        (TOKENS | {"algorithms": ()}, "access.algorithms"),
        (TOKENS | {"scope_map": {"staff": "root"}}, "expected one of predict"),
        ({"certificates": {"a": "predict"}}, "tls.client_ca"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    access: dict[str, Any], hint: str
) -> None:
    with pytest.raises(InvalidArgument, match=hint):
        secured(settings(**access))


@pytest.mark.parametrize("jwks", ["http://127.0.0.1:9/keys", "/etc/keys.json"])
def test_keys_of_an_issuer_may_come_from_this_machine(jwks: str) -> None:
    secured(settings(**{**TOKENS, "jwks": jwks}))


def config_of(home: Path, **access: Any) -> NodeConfig:
    node = NodeSettings(home=str(home))
    return NodeConfig(Settings(node=node, access=AccessSettings(**access)), ())


def test_without_any_key_it_says_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied) as refused:
        check_anyone_may_call(config_of(tmp_path, required=True))

    command = f"augurium keys create admin --scope admin --home {tmp_path}"
    assert command in str(refused.value)


@pytest.mark.parametrize(
    ("draft", "enough"),
    [
        (KeyDraft(name="a", scopes=(Scope.ADMIN,)), True),
        (KeyDraft(name="a", scopes=(Scope.DEPLOY,)), False),
    ],
)
def test_one_live_admin_key_is_enough(tmp_path: Path, draft: KeyDraft, enough: bool) -> None:
    config = config_of(tmp_path, required=True)
    engine = open_database(sqlite_url(config.home.database))
    SqlKeyStore(engine, SystemClock()).create(draft, LOCAL)
    engine.dispose()

    if enough:
        check_anyone_may_call(config)
    else:
        with pytest.raises(PermissionDenied):
            check_anyone_may_call(config)


def test_tokens_are_enough(tmp_path: Path) -> None:
    check_anyone_may_call(config_of(tmp_path, required=True, **TOKENS))


def test_a_node_that_asks_for_no_keys_is_not_looked_at(tmp_path: Path) -> None:
    check_anyone_may_call(config_of(tmp_path))

    assert not config_of(tmp_path).home.database.exists()
