"""What a node refuses before it starts any process."""

from pathlib import Path
from typing import Any

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings, StorageSettings
from augurium.node.preflight import check_storage


def config_of(home: Path, **storage: Any) -> NodeConfig:
    settings = Settings(node=NodeSettings(home=str(home)), storage=StorageSettings(**storage))
    return NodeConfig(settings, ())


@pytest.mark.parametrize(
    ("storage", "hint"),
    [
        ({"artifacts_url": "s4://bucket"}, "expected s3://"),
        ({"artifacts_url": "s3://"}, "expected s3://"),
        ({"artifacts_url": "s3://key:secret@bucket"}, "without credentials"),
        ({"database_url": "postgres//host/name"}, "expected something like"),
        ({"database_url": "oracle://host/name"}, "expected something like"),
    ],
    ids=str,
)
def test_storage_that_cannot_be_meant_is_refused(
    storage: dict[str, str], hint: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgument, match=hint) as refused:
        check_storage(config_of(tmp_path, **storage))

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"artifacts_url": "s3://bucket/prefix", "s3_endpoint": "http://127.0.0.1:9"},
        {"database_url": "postgresql://ann@127.0.0.1:9/registry"},
    ],
    ids=str,
)
def test_storage_that_is_down_may_come_back(storage: dict[str, str], tmp_path: Path) -> None:
    check_storage(config_of(tmp_path, **storage))
