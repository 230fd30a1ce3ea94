"""The columns of the output: kept ones, what the model answers, a version. Imports pyarrow."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from augurium.batch.block_columns import block_schema
from augurium.batch.hive_folders import check_folder_columns
from augurium.batch.output_fields import column_of, field_of
from augurium.batch.output_format import output_format
from augurium.batch.partition import InputPlan
from augurium.core.batch_job import BatchSpec, OutputSpec
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.core.texts import shown

VERSION = "model_version"


class OutputColumns:
    """Kept columns first, then a column per output of the model, then `more`, then `model_version`.

    Raises InvalidArgument for names that come twice, outputs that there are not, folders by columns
    that are not kept, and columns that the format cannot hold.
    """

    def __init__(
        self,
        kept: pa.Schema,
        signature: Signature,
        spec: OutputSpec,
        version: int,
        more: Sequence[pa.Field] = (),
    ) -> None:
        answered = [field_of(output) for output in signature.outputs]
        self._answered = _chosen(answered, spec.outputs)
        self._more = tuple(more)
        self._version = pa.scalar(version, pa.int32())
        fields = [*map(_plain, kept), *self._answered, *more, pa.field(VERSION, pa.int32())]
        _check_names(field.name for field in fields)
        self.schema = pa.schema(fields)
        """Of every batch that `batch` makes."""
        _check_folders(spec, kept.names)
        check_folder_columns([self.schema.field(name) for name in spec.partition_by])
        output_format(spec).check(_without(self.schema, spec.partition_by))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the model that are written, in their order."""
        return tuple(field.name for field in self._answered)

    def batch(
        self,
        kept: pa.RecordBatch,
        outputs: Mapping[str, Array],
        more: Mapping[str, pa.Array] | None = None,
    ) -> pa.RecordBatch:
        """The rows of the output; `kept` has one row per row of each array.

        Raises ModelFailed when an output is not what the signature says.
        """
        columns = [
            column.cast(field.type) if column.type != field.type else column
            for column, field in zip(kept.columns, self.schema, strict=False)
        ]
        columns += [column_of(field, outputs[field.name]) for field in self._answered]
        columns += [(more or {})[field.name] for field in self._more]
        columns.append(pa.repeat(self._version, kept.num_rows))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def columns_of_job(
    spec: BatchSpec,
    plan: InputPlan,
    signature: Signature,
    version: int,
    more: Sequence[pa.Field] = (),
) -> OutputColumns:
    """The columns of a job whose input is planned. Raises as `OutputColumns` does."""
    schema = block_schema(plan, spec.input, signature)
    kept = pa.schema([schema.field(name) for name in plan.kept])
    return OutputColumns(kept, signature, spec.output, version, more)


def _chosen(answered: Sequence[pa.Field], wanted: Sequence[str]) -> list[pa.Field]:
    by_name = {field.name: field for field in answered}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise InvalidArgument(
            f"the model has no output {shown(unknown)}; it has {shown(list(by_name))}"
        )
    return [by_name[name] for name in dict.fromkeys(wanted)] if wanted else list(answered)


def _plain(field: pa.Field) -> pa.Field:
    """Without dictionaries, which may differ from block to block, views, which few formats know,
    and notes of whoever wrote it.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_string_view(kind):
        kind = pa.string()
    if pa.types.is_binary_view(kind):
        kind = pa.binary()
    return pa.field(field.name, kind)


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidArgument(
                f"two columns of the output would be called '{name}': one that is kept and one of "
                f"the model, or '{VERSION}'; keep other columns, or rename it in the input"
            )
        seen.add(name)


def _check_folders(spec: OutputSpec, kept: Sequence[str]) -> None:
    missing = [name for name in spec.partition_by if name not in kept]
    if missing:
        raise InvalidArgument(
            f"the output cannot be partitioned by {shown(missing)}, which is not kept; "
            f"add it to the columns that are kept ({shown(list(kept)) or 'none'})"
        )
    if len(set(spec.partition_by)) != len(spec.partition_by):
        raise InvalidArgument("the output is partitioned by a column twice; name each once")


def _without(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in names])
