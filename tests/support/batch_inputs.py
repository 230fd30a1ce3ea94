"""Reading the input of a job as its workers do."""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from augurium.batch.block_columns import block_schema
from augurium.batch.input_plan import plan_input
from augurium.batch.partition import InputPlan, RejectedRow
from augurium.batch.partition_rows import open_partition
from augurium.batch.storage import Storage
from augurium.core.batch_job import InputSpec
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec

OUTPUTS = (TensorSpec("score", "FP32", (-1, 1)),)


class Read(NamedTuple):
    """All rows of an input, under the names of the plan, with the file and number of each."""

    plan: InputPlan
    table: pa.Table
    places: list[tuple[str, int]]
    rejected: list[RejectedRow]
    read_rows: int
    filtered_rows: int

    @property
    def rows(self) -> list[int]:
        return [row for _, row in self.places]

    @property
    def bad(self) -> list[tuple[int, str, str]]:
        """Row, column and kind of what was set aside."""
        return [(row.row, row.column, row.kind) for row in self.rejected]

    def column(self, name: str) -> list[Any]:
        """Values of a feature."""
        return list(self.table.column(self.plan.sources[name]).to_pylist())


def numbers(*features: str, datatype: str = "FP32", **rules: Any) -> TensorSpec:
    """A matrix of features."""
    return TensorSpec("input", datatype, (-1, len(features)), features, **rules)


def texts(name: str, **rules: Any) -> TensorSpec:
    """An input of one text a row."""
    return TensorSpec(name, "BYTES", (-1, 1), **rules)


def signature_of(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, OUTPUTS)


def local_storage() -> Storage:
    return Storage(StorageSettings(), {})


def read_input(
    signature: Signature,
    *paths: Path | str,
    partition_rows: int = 1000,
    storage: Storage | None = None,
    **spec: Any,
) -> Read:
    """Plans an input and reads all its partitions."""
    asked = InputSpec(paths=tuple(map(str, paths)), **spec)
    storage = storage or local_storage()
    plan = plan_input(asked, signature, storage, partition_rows)
    return read_plan(plan, asked, signature, storage)


def read_plan(plan: InputPlan, spec: InputSpec, signature: Signature, storage: Storage) -> Read:
    rejected: list[RejectedRow] = []
    schema = block_schema(plan, spec, signature)
    batches, places, read, filtered = [], [], 0, 0
    for partition in plan.partitions:
        rows = open_partition(partition, plan, spec, signature, storage, rejected.append)
        for block in rows:
            batches.append(block.columns)
            places += [(block.file, row) for row in block.rows.tolist()]
        read += rows.read_rows
        filtered += rows.filtered_rows
    table = pa.Table.from_batches(batches, schema)
    return Read(plan, table, places, rejected, read, filtered)
