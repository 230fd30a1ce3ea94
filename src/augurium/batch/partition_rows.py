"""The rows of a partition, ready to be scored. Imports pyarrow."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from augurium.batch.arrow_input import ArrowInput
from augurium.batch.block_columns import block_columns, folder_value, read_schema
from augurium.batch.csv_input import CsvInput
from augurium.batch.file_format import FileFormat, RawBlock, Reject
from augurium.batch.input_changed import same_file
from augurium.batch.input_schema import check_same
from augurium.batch.jsonl_input import JsonLinesInput
from augurium.batch.parquet_input import ParquetInput
from augurium.batch.partition import Fragment, InputPlan, Partition, RejectedRow, RowBlock
from augurium.batch.row_check import RowCheck
from augurium.batch.row_filter import RowFilter
from augurium.batch.storage import Storage
from augurium.core.batch_job import InputSpec
from augurium.core.signature import Signature


class PartitionRows:
    """Iterates over the rows of partitions of a job, block by block, and counts them. Used by one
    thread.

    Raises InputChanged for a file that is not the one that was planned, InvalidArgument for one
    that is damaged or a filter that fails, and NotReady for a store that does not answer.
    """

    def __init__(
        self,
        partition: Partition,
        plan: InputPlan,
        spec: InputSpec,
        signature: Signature,
        storage: Storage,
        reject: Reject,
    ) -> None:
        self.read_rows = 0
        self.filtered_rows = 0
        self.rejected_rows = 0
        self._partition = partition
        self._storage = storage
        self._tell = reject
        self._read = read_schema(plan)
        self._format = file_format(plan.format, spec, signature, storage, self._read)
        self._columns = block_columns(plan, spec, signature)
        self._check = RowCheck(self._columns.features, plan.kept, self._columns.schema)
        self._filter = RowFilter(spec.where, self._read) if spec.where else None

    def __iter__(self) -> Iterator[RowBlock]:
        for fragment in self._partition.fragments:
            for raw in self._raw(fragment):
                block = self._check.block(raw.columns, raw.rows, fragment.file, self._reject)
                if len(block.rows):
                    yield block
            # what was replaced while it was read may have been read in parts
            same_file(fragment, self._storage)

    def _raw(self, fragment: Fragment) -> Iterator[RawBlock]:
        """Rows with all columns that are read, without those that are filtered out."""
        names = [name for name in self._read.names if name not in fragment.values]
        checked = False
        for found in self._format.blocks(fragment, names, self._reject_unread):
            raw = self._with_folders(found, fragment)
            if not checked:
                # a file that was not looked at when the job was planned has to have the columns
                self._check_schema(raw.columns.schema, fragment.file)
                checked = True
            self.read_rows += len(raw.rows)
            yield self._filtered(raw)

    def _check_schema(self, schema: pa.Schema, file: str) -> None:
        kept = self._columns.kept
        check_same(self._columns.features, kept, self._read, schema, "the first file", file)

    def _with_folders(self, raw: RawBlock, fragment: Fragment) -> RawBlock:
        """With a column for each folder that names one that is read."""
        named = [name for name in fragment.values if name in self._read.names]
        if not named:
            return raw
        rows = len(raw.rows)
        columns, names = list(raw.columns.columns), list(raw.columns.schema.names)
        for name in named:
            kind = self._read.field(name).type
            value = folder_value(fragment.values[name], kind)
            columns.append(pa.nulls(rows, kind) if value is None else pa.repeat(value, rows))
        return RawBlock(pa.RecordBatch.from_arrays(columns, names + named), raw.rows)

    def _filtered(self, raw: RawBlock) -> RawBlock:
        if self._filter is None or not len(raw.rows):
            return raw
        kept = self._filter.mask(raw.columns)
        count = int(np.count_nonzero(kept))
        self.filtered_rows += len(kept) - count
        if count == len(kept):
            return raw
        return RawBlock(raw.columns.filter(pa.array(kept)), raw.rows[kept])

    def _reject_unread(self, row: RejectedRow) -> None:
        self.read_rows += 1
        self._reject(row)

    def _reject(self, row: RejectedRow) -> None:
        self.rejected_rows += 1
        self._tell(row)


def open_partition(
    partition: Partition,
    plan: InputPlan,
    spec: InputSpec,
    signature: Signature,
    storage: Storage,
    reject: Reject,
) -> PartitionRows:
    """The rows of a partition; `reject` is told of each that cannot be scored.

    Raises as PartitionRows.
    """
    return PartitionRows(partition, plan, spec, signature, storage, reject)


def file_format(
    name: str,
    spec: InputSpec,
    signature: Signature,
    storage: Storage,
    read: pa.Schema | None = None,
) -> FileFormat:
    """What reads files of a format; `read` are the columns that were found in a plan."""
    if name == "parquet":
        return ParquetInput(storage)
    if name == "arrow":
        return ArrowInput(storage)
    if name == "csv":
        return CsvInput(storage, spec.csv, signature, spec.columns)
    return JsonLinesInput(storage, spec.csv.encoding, signature, spec.columns, read)
