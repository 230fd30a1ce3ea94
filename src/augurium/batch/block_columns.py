"""What columns a job reads, and what columns its blocks have: both follow from the plan.

Imports pyarrow.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from augurium.batch.discovery import NO_VALUE, InputFile
from augurium.batch.input_schema import Feature, check_single, features_of
from augurium.batch.partition import InputPlan
from augurium.batch.text_rows import TEXT, typed_columns
from augurium.batch.text_values import parsed
from augurium.core.batch_job import InputSpec
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.texts import shown

ALL = "*"


class BlockColumns(NamedTuple):
    """The features, the columns of a block that have them by their names, those that are kept, and
    the schema of all.
    """

    features: tuple[Feature, ...]
    sources: dict[str, str]
    kept: tuple[str, ...]
    schema: pa.Schema

    @classmethod
    def of(
        cls, features: Sequence[Feature], kept: Sequence[str], read: pa.Schema
    ) -> "BlockColumns":
        """Columns that are kept have their names, and features theirs where those are free."""
        sources: dict[str, str] = {}
        taken = set(kept)
        for feature in features:
            name = feature.name
            while name in taken:
                name += " (scored)"
            taken.add(name)
            sources[feature.name] = name
        fields = [pa.field(sources[f.name], f.arrow_type) for f in features]
        fields += [read.field(name) for name in kept]
        schema = pa.schema([field.remove_metadata() for field in fields])
        return cls(tuple(features), sources, tuple(kept), schema)


def block_columns(plan: InputPlan, spec: InputSpec, signature: Signature) -> BlockColumns:
    """The columns of every block of a job."""
    read = read_schema(plan)
    if not len(read):
        return columns_of_nothing(spec, signature)
    return BlockColumns.of(features_of(signature, spec.columns, read, "the input"), plan.kept, read)


def block_schema(plan: InputPlan, spec: InputSpec, signature: Signature) -> pa.Schema:
    """The Arrow schema of every block of a job."""
    return block_columns(plan, spec, signature).schema


def read_schema(plan: InputPlan) -> pa.Schema:
    """The columns that are read of files and folders."""
    return pa.ipc.read_schema(pa.py_buffer(plan.schema)) if plan.schema else pa.schema([])


def kept_columns(spec: InputSpec, schema: pa.Schema, file: str) -> tuple[str, ...]:
    """Which columns are passed through. Raises InvalidArgument for one that there is not."""
    names = tuple(dict.fromkeys(schema.names if ALL in spec.keep else spec.keep))
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise InvalidArgument(
            f"{file} has no column {shown(missing)} that could be kept; it has"
            f" {shown(schema.names)}"
        )
    for name in names:
        check_single(name, schema, file)
    return names


def with_folders(
    schema: pa.Schema, file: InputFile, signature: Signature, spec: InputSpec
) -> pa.Schema:
    """The columns of a file, and those that its folders name, which come before its own.

    Raises InvalidArgument for a value of a folder that the feature does not take.
    """
    types = typed_columns(signature, spec.columns)
    for name, value in file.values.items():
        kind = types[name].kind if name in types else pa.string()
        if folder_value(value, kind) is None and value != NO_VALUE:
            raise InvalidArgument(
                f"the folder {name}={value} of {file.location} has a value that does not fit"
                f" {kind}; correct its name"
            )
        field, place = pa.field(name, kind), schema.get_field_index(name)
        schema = schema.append(field) if place < 0 else schema.set(place, field)
    return schema


def folder_value(value: str, kind: pa.DataType) -> pa.Scalar | None:
    """What the name of a folder says, as a value of a type; None where it is none, or no value."""
    if value == NO_VALUE:
        return None
    if kind == pa.string():
        return pa.scalar(value)
    found, bad = parsed(pa.array([value]), kind)
    return None if len(bad) else found[0]


def columns_of_nothing(spec: InputSpec, signature: Signature) -> BlockColumns:
    """The same for an input that has no rows, and does not say what its columns are."""
    types = typed_columns(signature, spec.columns)
    kept = [name for name in dict.fromkeys(spec.keep) if name != ALL]
    wanted = [spec.columns.get(name, name) for name in signature.expected_names]
    names = dict.fromkeys([*wanted, *kept])
    read = pa.schema([(name, types.get(name, TEXT).kind) for name in names])
    return BlockColumns.of(features_of(signature, spec.columns, read, "the input"), kept, read)
