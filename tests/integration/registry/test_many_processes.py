import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from augurium.core.clock import SystemClock
from augurium.registry.database import open_database
from augurium.registry.sql_registry import SqlRegistry


def test_four_processes_registering_at_once_get_each_number_once_and_lose_none(
    run_program: Callable[..., Any], url: URL
) -> None:
    file = Path(url.database or "")

    # none of them finds a schema, so they race for the migration as well
    with ThreadPoolExecutor(4) as starters:
        numbers = list(
            starters.map(lambda _: run_program("register_many", file, "fraud", 25), range(4))
        )

    assert sorted(itertools.chain.from_iterable(numbers)) == list(range(1, 101))
    for of_one_process in numbers:
        assert of_one_process == sorted(of_one_process)
    registry = SqlRegistry(open_database(url), SystemClock())
    assert [version.version for version in registry.versions("fraud")] == list(range(1, 101))
    assert [entry.version for entry in registry.audit()] == list(range(100, 0, -1))
    assert registry.revision() == 100
    registry.close()
