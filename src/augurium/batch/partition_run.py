"""One partition from its rows to its files: read, scored and written side by side."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from augurium.batch.ahead import Ahead
from augurium.batch.output_columns import OutputColumns
from augurium.batch.partition import PartitionResult, RejectedRow, RowBlock
from augurium.batch.partition_rows import PartitionRows
from augurium.batch.partition_writer import PartitionWriter
from augurium.batch.row_batches import RowBatch, cut
from augurium.batch.row_counts import RowCounts
from augurium.batch.row_scoring import MODEL_FAILED, Answered, RowScoring
from augurium.batch.stage_times import StageTimes
from augurium.batch.summary_counter import SummaryCounter


class PartitionRun:
    """Scores one partition, once. Three threads overlap: one reads, one scores, one writes, which
    is the caller's.
    """

    def __init__(
        self,
        rows: PartitionRows,
        scoring: RowScoring,
        kept: Sequence[str],
        columns: OutputColumns,
        writer: PartitionWriter,
        summary: SummaryCounter,
        counts: RowCounts,
        times: StageTimes,
    ) -> None:
        self._rows = rows
        self._scoring = scoring
        self._kept = list(kept)
        self._columns = columns
        self._writer = writer
        self._summary = summary
        self._counts = counts
        self._times = times

    def run(self, number: int, batch_size: int, deadly: Mapping[int, str]) -> PartitionResult:
        """What the partition came to; its files wait. `deadly` are places of rows that end the
        process which scores them, with why they are set aside.

        Raises what reading and writing do; nothing is left of the files then.
        """
        cpu_before_s = time.process_time()
        try:
            with (
                Ahead(self._read(), name="read") as blocks,
                Ahead(self._scored(cut(blocks, batch_size), deadly), name="score") as answers,
            ):
                self._write_nothing()
                for answered in answers:
                    self._write(answered)
            with self._times.of("store"):
                files = self._writer.close()
        except BaseException:
            self._writer.abort()
            raise
        counts = self._counts.counted
        return PartitionResult(
            number,
            files,
            read_rows=counts.read_rows,
            written_rows=counts.written_rows,
            filtered_rows=counts.filtered_rows,
            rejected=counts.rejected,
            stage_s=self._times.seconds,
            summary=self._summary.summary(time.process_time() - cpu_before_s),
        )

    def _read(self) -> Iterator[RowBlock]:
        blocks = iter(self._rows)
        while True:
            with self._times.of("read"):
                block = next(blocks, None)
                if block is None:
                    return
                self._summary.count_inputs(block.columns)
            yield block

    def _scored(self, batches: Iterable[RowBatch], deadly: Mapping[int, str]) -> Iterator[Answered]:
        for batch in batches:
            rest = self._without_deadly(batch, deadly) if deadly else batch
            if len(rest):
                yield from self._scoring.answers(rest)

    def _without_deadly(self, batch: RowBatch, deadly: Mapping[int, str]) -> RowBatch:
        for place, row in batch.at(deadly):
            self._counts.reject(RejectedRow(batch.file, row, "", MODEL_FAILED, deadly[place]))
        return batch.without(deadly)

    def _write_nothing(self) -> None:
        # a partition without answers has a file too, which says what columns there would be
        self._writer.write(pa.RecordBatch.from_pylist([], self._columns.schema))

    def _write(self, answered: Answered) -> None:
        with self._times.of("encode"):
            kept = answered.batch.columns.select(self._kept)
            rows = self._columns.batch(kept, answered.outputs, answered.more)
            self._writer.write(rows)
        self._summary.count_outputs(rows)
        self._counts.wrote(rows.num_rows)
