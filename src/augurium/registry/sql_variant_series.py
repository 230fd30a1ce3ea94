"""The time series in the registry's SQL database."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine, Row, bindparam, delete, insert, select

from augurium.registry.database import reading, writing
from augurium.registry.tables import variant_series
from augurium.registry.variant_series import SeriesRow

# of one transaction: others that write wait for it
MOST_ROWS = 2000
_FIELDS = SeriesRow.__struct_fields__
_KEY = tuple(column.name for column in variant_series.primary_key)
_OF_KEY = [variant_series.c[name] == bindparam(f"key_{name}") for name in _KEY]


class SqlVariantSeries:
    """Rows over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, rows: Sequence[SeriesRow]) -> None:
        for some in _parts(rows):
            values = [msgspec.structs.asdict(row) for row in some]
            keys = [{f"key_{name}": row[name] for name in _KEY} for row in values]
            with writing(self._engine) as connection:
                # SQLite and PostgreSQL have an upsert each of its own
                connection.execute(delete(variant_series).where(*_OF_KEY), keys)
                connection.execute(insert(variant_series), values)

    def read(self, model: str, step_s: int, start: int, end: int) -> list[SeriesRow]:
        of = variant_series.c
        query = (
            select(*(of[name] for name in _FIELDS))
            .where(of.model == model, of.step_s == step_s, of.at >= start, of.at < end)
            .order_by(of.at, of.version, of.variant, of.source)
        )
        with reading(self._engine) as connection:
            return [_row(row) for row in connection.execute(query)]

    def drop(self, step_s: int, before: int) -> int:
        of = variant_series.c
        with writing(self._engine) as connection:
            old = delete(variant_series).where(of.step_s == step_s, of.at < before)
            return connection.execute(old).rowcount


def _parts(rows: Sequence[SeriesRow]) -> list[Sequence[SeriesRow]]:
    return [rows[start : start + MOST_ROWS] for start in range(0, len(rows), MOST_ROWS)]


def _row(row: Row[Any]) -> SeriesRow:
    return SeriesRow(**dict(zip(_FIELDS, row, strict=True)))
