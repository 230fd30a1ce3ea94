from pathlib import Path

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.settings import KEYS, load_settings


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "augurium.toml"
    file.write_text("[node]\nport = 1\ngrpc_port = 2\ncontrol_port = 3\n")
    environment = {"AUGURIUM_NODE_GRPC_PORT": "20", "AUGURIUM_NODE_CONTROL_PORT": "30", "HOME": "/"}
    loaded = load_settings(file, environment, {"node.control_port": 300, "node.engines": None})
    node = loaded.settings.node
    assert (node.port, node.grpc_port, node.control_port) == (1, 20, 300)
    assert loaded.origins["node.port"] == str(file)
    assert loaded.origins["node.grpc_port"] == "AUGURIUM_NODE_GRPC_PORT"
    assert loaded.origins["node.control_port"] == "--control-port"
    assert loaded.origins["node.engines"] == "default"
    assert set(loaded.origins) == KEYS


def test_environment_values_are_text_for_every_type() -> None:
    environment = {
        "AUGURIUM_IMPORTING_ALLOW_CODE": "true",
        "AUGURIUM_BATCHING_MAX_QUEUE_DELAY_MS": "2.5",
        "AUGURIUM_LOG_FORMAT": "json",
    }
    settings = load_settings(environment=environment).settings
    assert settings.importing.allow_code
    assert settings.batching.max_queue_delay_ms == 2.5
    assert settings.log.format == "json"


def test_variables_of_the_client_are_not_settings() -> None:
    load_settings(environment={"AUGURIUM_URL": "http://127.0.0.1:8080", "AUGURIUM_KEY": "k"})


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[node]\nprot = 1\n", "node.port"),
        ("[nodes]\nport = 1\n", "nodes"),
        ("port = 1\n", "port"),
        ('[node]\nport = "8000"\n', "node.port"),
        ('[node]\ndefault_model = "a b"\n', "node.default_model"),
        ('[node]\ndefault_model = "churn@"\n', "node.default_model"),
        ("[node]\nport = 70000\n", "node.port"),
        ("[batching]\nmax_queue_delay_ms = 11\n", "max_queue_delay_ms"),
        ("[node\n", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_and_named(tmp_path: Path, content: str, named: str) -> None:
    file = tmp_path / "augurium.toml"
    file.write_text(content)
    with pytest.raises(InvalidArgument, match=named) as caught:
        load_settings(file)
    assert str(file) in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidArgument, match="did you mean 'AUGURIUM_NODE_PORT'"):
        load_settings(environment={"AUGURIUM_NODE_PROT": "1"})


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        load_settings(Path("nowhere.toml"))
