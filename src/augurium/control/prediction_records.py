"""Predictions on their way from engines to the records: taken, gathered, written, let go."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import structlog

from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError
from augurium.core.rollout_settings import PredictionLogSettings
from augurium.records.merging import Merging
from augurium.records.partitions import Partitions
from augurium.records.query import RecordQuery, RecordRange
from augurium.records.schema import Schema
from augurium.registry.registry import Registry
from augurium.serving.link import Predictions
from augurium.serving.logged_prediction import LoggedPrediction, decode_predictions

KIND = "predictions"
SCHEMA: Schema = {
    "at": "number",
    "prediction_id": "text",
    "model": "text",
    "version": "integer",
    "variant": "text",
    "unit": "text",
    "score": "number",
    "seconds": "number",
    "outcome": "text",
    "sampled": "flag",
    "inputs": "texts",
    "outputs": "texts",
}
COLUMNS = ", ".join(f'"{name}"' for name in SCHEMA)
# what waits to be written; more is dropped
MOST_WAITING_BYTES = 64 * 1024 * 1024
TICK_S = 0.1
# merging, and letting go of what is too old or too much
UPKEEP_S = 300.0
# of what may be kept: with so much written since it was looked at last, it is looked at again
UNCHECKED_SHARE = 0.02
READ_TIMEOUT_S = 20.0

log = structlog.get_logger()


class PredictionCounts(msgspec.Struct, frozen=True):
    """What became of predictions since the start; `dropped` by where there was no room."""

    records: int = 0
    written_bytes: int = 0
    dropped: dict[str, int] = {}


class PredictionFilter(NamedTuple):
    """Which predictions are wanted, `limit` of them at most, the newest first; None for any."""

    start: datetime
    end: datetime
    limit: int
    version: int | None = None
    variant: str | None = None
    outcome: str | None = None


class PredictionRecords:
    """Lives on control's event loop; what takes time is done on threads.

    What was taken and not yet written is lost with the process.
    """

    def __init__(
        self, partitions: Partitions, settings: PredictionLogSettings, clock: Clock
    ) -> None:
        self.partitions = partitions
        self._settings = settings
        self._clock = clock
        self._query = RecordQuery(partitions)
        self._merging = Merging(partitions, clock)
        self._waiting: deque[Predictions] = deque()
        self._waiting_bytes = 0
        self._waiting_rows = 0
        self._records = 0
        self._written_bytes = 0
        self._unchecked_bytes = 0
        self._dropped = {"engine": 0, "control": 0, "store": 0}
        self._failing = False
        self._flushing = asyncio.Lock()
        self._flushed_at = clock.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def counts(self) -> PredictionCounts:
        """What became of predictions since the start."""
        return PredictionCounts(self._records, self._written_bytes, dict(self._dropped))

    def start(self) -> None:
        """Begins to write."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_up())]

    async def stop(self) -> None:
        """Writes what is there and ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.flush()
        self.partitions.database.close()

    def take(self, predictions: Predictions) -> None:
        """Takes what an engine sent, or drops it where too much waits."""
        self._dropped["engine"] += predictions.dropped
        size = len(predictions.content)
        if self._waiting_bytes + size > MOST_WAITING_BYTES:
            self._dropped["control"] += predictions.count
            return
        if predictions.count:
            self._waiting.append(predictions)
            self._waiting_bytes += size
            self._waiting_rows += predictions.count

    async def flush(self) -> None:
        """Writes what was taken so far; what cannot be written is dropped and counted."""
        async with self._flushing:
            taken, self._waiting = self._waiting, deque()
            self._waiting_bytes = self._waiting_rows = 0
            self._flushed_at = self._clock.monotonic()
            if taken:
                await asyncio.to_thread(self._write, taken)

    async def find(self, model: str, wanted: PredictionFilter) -> list[LoggedPrediction]:
        """Predictions of a model, also of the last seconds. Raises as `RecordQuery.open`."""
        await self.flush()
        return await asyncio.to_thread(self._find, model, wanted)

    def forget_purged(self, registry: Registry, purged: Collection[str]) -> None:
        """Removes what was recorded of models that are gone with their last version."""
        left = {model.name for model in registry.models(deleted=True)}
        for model in sorted(set(purged) - left):
            removed = self.partitions.forget(model)
            log.info("records removed", model=model, bytes=removed.size_bytes)

    async def upkeep(self) -> None:
        """Merges small segments, and lets go of what is too old or too much."""
        await asyncio.to_thread(self._keep_once)

    async def _run(self) -> None:
        settings = self._settings
        while True:
            await asyncio.sleep(min(TICK_S, settings.flush_interval_s))
            waited_s = self._clock.monotonic() - self._flushed_at
            full = self._waiting_rows >= settings.flush_records
            if full or (self._waiting and waited_s >= settings.flush_interval_s):
                await self.flush()

    async def _keep_up(self) -> None:
        while True:
            await self.upkeep()
            await asyncio.sleep(UPKEEP_S)

    def _write(self, taken: Collection[Predictions]) -> None:
        by_model: dict[str, list[LoggedPrediction]] = {}
        for block in taken:
            try:
                rows = decode_predictions(block.content)
            except msgspec.MsgspecError as error:
                log.error("predictions cannot be read", reason=str(error))
                self._dropped["control"] += block.count
                continue
            for row in rows:
                by_model.setdefault(row.model, []).append(row)
        for model, rows in by_model.items():
            self._write_model(model, rows)
        if self._unchecked_bytes > UNCHECKED_SHARE * self._settings.max_bytes:
            self._let_go()

    def _write_model(self, model: str, rows: Sequence[LoggedPrediction]) -> None:
        try:
            segments = self.partitions.write(KIND, model, SCHEMA, _columns(rows))
        except AuguriumError as error:
            self._dropped["store"] += len(rows)
            if not self._failing:
                log.error("predictions not recorded", reason=str(error))
            self._failing = True
            return
        self._failing = False
        self._records += len(rows)
        size = sum(segment.size_bytes for segment in segments)
        self._written_bytes += size
        self._unchecked_bytes += size

    def _keep_once(self) -> None:
        with contextlib.suppress(AuguriumError):
            self._merging.run(KIND)
        self._let_go()

    def _let_go(self) -> None:
        self._unchecked_bytes = 0
        keep = timedelta(days=self._settings.keep_days)
        try:
            removed = self.partitions.retain(KIND, self._settings.max_bytes, keep)
        except AuguriumError as error:
            log.warning("old predictions not removed", reason=str(error))
            return
        if removed.segments:
            log.info("old predictions removed", bytes=removed.size_bytes)

    def _find(self, model: str, wanted: PredictionFilter) -> list[LoggedPrediction]:
        start, end = wanted.start, wanted.end
        conditions = ['"at" >= ?', '"at" < ?']
        values: list[Any] = [start.timestamp(), end.timestamp()]
        for column, value in (
            ("version", wanted.version),
            ("variant", wanted.variant),
            ("outcome", wanted.outcome),
        ):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        question = (
            f"SELECT {COLUMNS} FROM predictions WHERE {' AND '.join(conditions)} "  # noqa: S608
            'ORDER BY "at" DESC, prediction_id LIMIT ?'
        )
        rows = RecordRange(KIND, model, SCHEMA, start, end)
        with self._query.open({KIND: rows}, READ_TIMEOUT_S) as connection:
            found = connection.execute(question, [*values, wanted.limit]).fetchall()
        return [LoggedPrediction(*row) for row in found]


def _columns(rows: Sequence[LoggedPrediction]) -> Mapping[str, Sequence[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in SCHEMA}
