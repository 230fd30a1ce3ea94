from collections.abc import Callable
from typing import Any


def test_importing_the_registry_does_no_work(run_program: Callable[..., Any]) -> None:
    seen = run_program("imports")

    assert "augurium.registry.sql_registry" in seen["modules"]
    assert "augurium.registry.obstore_artifacts" in seen["modules"]
    assert seen["threads"] == 1
    assert seen["work"] == []
