"""The time series in memory: for tests and throw-away servers."""

import threading
from collections.abc import Sequence
from typing import Any

from augurium.registry.variant_series import SeriesRow


class MemoryVariantSeries:
    """Keeps everything until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[Any, ...], SeriesRow] = {}

    def write(self, rows: Sequence[SeriesRow]) -> None:
        with self._lock:
            self._rows.update((_key(row), row) for row in rows)

    def read(self, model: str, step_s: int, start: int, end: int) -> list[SeriesRow]:
        with self._lock:
            found = [
                row
                for row in self._rows.values()
                if (row.model, row.step_s) == (model, step_s) and start <= row.at < end
            ]
        return sorted(found, key=lambda row: (row.at, row.version, row.variant, row.source))

    def drop(self, step_s: int, before: int) -> int:
        with self._lock:
            old = [key for key, r in self._rows.items() if r.step_s == step_s and r.at < before]
            for key in old:
                del self._rows[key]
        return len(old)


def _key(row: SeriesRow) -> tuple[Any, ...]:
    return (row.model, row.version, row.variant, row.step_s, row.at, row.source)
