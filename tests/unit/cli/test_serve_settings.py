"""`augurium serve --print-settings`: which settings a node would run with, and why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from augurium.core.settings import KEYS

Augurium = Callable[..., Result]


def settings_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_setting_is_shown_with_its_origin(augurium: Augurium) -> None:
    result = augurium("serve", "--print-settings", "--json")

    found = settings_of(result)
    assert result.exit_code == 0
    assert set(found) == KEYS
    assert found["node.port"] == {"value": 8000, "origin": "default"}


def test_a_flag_outweighs_a_variable_and_a_variable_the_file(augurium: Augurium) -> None:
    Path("augurium.toml").write_text("[node]\nport = 1\ngrpc_port = 1\ncontrol_port = 1\n")

    result = augurium(
        *("serve", "--print-settings", "--json", "--port", "3"),
        env={"AUGURIUM_NODE_PORT": "2", "AUGURIUM_NODE_GRPC_PORT": "2"},
    )

    found = settings_of(result)
    assert found["node.port"] == {"value": 3, "origin": "--port"}
    assert found["node.grpc_port"] == {"value": 2, "origin": "AUGURIUM_NODE_GRPC_PORT"}
    assert found["node.control_port"] == {"value": 1, "origin": "augurium.toml"}


def test_a_named_file_replaces_that_of_the_folder(augurium: Augurium) -> None:
    Path("augurium.toml").write_text("[node]\nport = 1\n")
    Path("other.toml").write_text("[log]\nlevel = 'debug'\n")

    found = settings_of(augurium("serve", "--config", "other.toml", "--print-settings", "--json"))

    assert found["log.level"] == {"value": "debug", "origin": "other.toml"}
    assert found["node.port"]["origin"] == "default"


@pytest.mark.parametrize(
    ("flag", "value", "key"),
    [
        ("--home", "there", "node.home"),
        ("--host", "127.0.0.2", "node.host"),
        ("--port", 1, "node.port"),
        ("--grpc-port", 2, "node.grpc_port"),
        ("--control-port", 3, "node.control_port"),
        ("--engines", 4, "node.engines"),
        ("--log-level", "debug", "log.level"),
        ("--log-format", "json", "log.format"),
    ],
)
def test_every_flag_reaches_its_setting_and_is_named_as_its_origin(
    augurium: Augurium, flag: str, value: object, key: str
) -> None:
    result = augurium("serve", flag, str(value), "--print-settings", "--json")

    assert settings_of(result)[key] == {"value": value, "origin": flag}


def test_settings_are_a_table_for_people(augurium: Augurium) -> None:
    lines = augurium("serve", "--print-settings", "--port", "9").stdout.splitlines()

    assert ["node.port", "9", "--port"] in [line.split() for line in lines]


def test_a_misspelt_variable_is_refused_with_the_right_one(augurium: Augurium) -> None:
    result = augurium("serve", "--print-settings", env={"AUGURIUM_NODE_PROT": "1"})

    assert result.exit_code == 2
    assert "AUGURIUM_NODE_PORT" in result.stderr
