"""Made-up records of an experiment, written as Parquet by DuckDB: predictions and their feedback.

Hours are not in order, feedback comes in the order of its receipt, and ids are of usual length.
"""

from pathlib import Path

import duckdb

START = 1_800_000_000
WEEK_S = 7 * 86_400
FILES = 8

# a hash of the row's number is as good as chance, and the same in every run
_PREDICTIONS = """
COPY (
  SELECT {start} + hash(i) % {week} + (i % 1000) / 1000.0 AS "at",
         uuid_of(i) AS prediction_id, 'churn' AS model,
         CASE WHEN hash(unit_number, 7) % 2 = 0 THEN 1 ELSE 2 END AS version,
         CASE WHEN hash(unit_number, 7) % 2 = 0 THEN 'v1' ELSE 'v2' END AS variant,
         'user-' || unit_number AS unit, (hash(i, 1) % 1000) / 1000.0 AS score,
         0.002 * exp((hash(i, 2) % 1000) / 300.0) AS seconds,
         CASE WHEN hash(i, 3) % 1000 = 0 THEN 'internal' ELSE 'ok' END AS outcome
  FROM (SELECT i, hash(i, 4) % {units} AS unit_number FROM range({first}, {last}) t(i))
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""
_FEEDBACK = """
COPY (
  SELECT i AS seq, {start} + hash(i) % {week} + 3600 AS "at", {start} + hash(i) % {week} + 7200
           AS received_at, 'churn' AS model,
         CASE WHEN i % 2 = 0 THEN uuid_of(i) ELSE '' END AS prediction_id,
         CASE WHEN i % 2 = 0 THEN '' ELSE 'user-' || (hash(i, 5) % {units}) END AS unit,
         CASE WHEN i % 4 < 2 THEN 'bought' ELSE 'revenue' END AS name, '' || (i % 3) AS feedback_id,
         CASE WHEN i % 4 < 2 THEN hash(i, 6) % 2 ELSE (hash(i, 6) % 10000) / 100.0 END::DOUBLE
           AS "value"
  FROM range({first}, {last}) t(i)
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


def write(folder: Path, rows: int, units: int) -> tuple[list[Path], list[Path]]:
    """So many predictions of so many units, and as many rows of feedback."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE MACRO uuid_of(i) AS left(md5('' || i), 32)")
    found: tuple[list[Path], list[Path]] = ([], [])
    for paths, query, name in zip(
        found, (_PREDICTIONS, _FEEDBACK), ("predictions", "feedback"), strict=True
    ):
        for part in range(FILES):
            path = folder / f"{name}-{part}.parquet"
            connection.execute(
                query.format(
                    start=START,
                    week=WEEK_S,
                    units=units,
                    first=part * rows // FILES,
                    last=(part + 1) * rows // FILES,
                    path=path,
                )
            )
            paths.append(path)
    connection.close()
    return found
