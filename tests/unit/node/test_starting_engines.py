"""How many engines a node starts with, and what of that is refused."""

from pathlib import Path
from typing import Any

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.settings import NodeSettings, ScalingSettings, Settings
from augurium.node.preflight import resolve


def settings_of(home: Path, engines: int = 0, **scaling: Any) -> Settings:
    node = NodeSettings(home=str(home), port=0, grpc_port=0, control_port=0, engines=engines)
    return Settings(node=node, scaling=ScalingSettings(**scaling))


@pytest.mark.parametrize(
    ("engines", "scaling", "first", "most"),
    [
        (3, {}, 3, 3),
        (0, {"max_engines": 4}, 1, 4),
        (0, {"max_engines": 4, "min_engines": 2}, 2, 4),
        (3, {"max_engines": 4}, 3, 4),
        (0, {"max_engines": 4, "schedules": ("daily 00:00-24:00 min 3",)}, 3, 4),
    ],
    ids=str,
)
def test_a_node_starts_with_what_is_said(
    tmp_path: Path, engines: int, scaling: dict[str, Any], first: int, most: int
) -> None:
    config = resolve(settings_of(tmp_path, engines, **scaling))

    assert config.engines == tuple(f"engine-{number}" for number in range(first))
    assert config.most_engines == most


@pytest.mark.parametrize(
    ("engines", "scaling", "said"),
    [
        (5, {"max_engines": 4}, "node.engines is 5, and scaling allows 1 to 4"),
        (1, {"max_engines": 4, "min_engines": 2}, "node.engines is 1, and scaling allows 2 to 4"),
        (0, {"min_engines": 2}, "mean nothing without scaling.max_engines"),
        (0, {"schedules": ("daily 00:00-24:00 min 2",)}, "mean nothing without"),
        (0, {"max_engines": 1, "min_engines": 2}, "expected 1 <= min_engines <= max_engines"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, engines: int, scaling: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        resolve(settings_of(tmp_path, engines, **scaling))
