"""What a batch job is asked to do: which model scores which rows, and where the answers go."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Format = Literal["", "parquet", "arrow", "csv", "jsonl"]
OutputFormat = Literal["parquet", "arrow", "csv", "jsonl"]
OutputMode = Literal["fail", "append", "overwrite"]
BatchEngine = Literal["auto", "local", "ray"]
Location = Annotated[str, Meta(min_length=1, max_length=4096)]
Character = Annotated[str, Meta(min_length=1, max_length=1)]


class CsvRules(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How CSV files are written; `names` are the columns of files without a header."""

    delimiter: Character = ","
    quote: Character = '"'
    header: bool = True
    names: tuple[str, ...] = ()
    encoding: str = "utf-8"
    null_values: tuple[str, ...] = ("",)


class InputSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Which rows are scored.

    `columns` says which column has a feature or input of the signature, by the name in the
    signature; others have their own name. `keep` are columns that are passed through to the output,
    `*` for all. `where` is a SQL expression over the columns; rows for which it is not true are
    left out, and counted.
    """

    paths: Annotated[tuple[Location, ...], Meta(min_length=1, max_length=10_000)]
    """Files, folders and globs: paths of the server, `s3://`, `gs://` or `az://`."""
    format: Format = ""
    """Of every file; empty: by their names."""
    columns: dict[str, str] = {}
    keep: tuple[str, ...] = ()
    where: str = ""
    csv: CsvRules = CsvRules()


class OutputSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where answers go: a folder of files, one or more for every partition of the input.

    With `partition_by`, columns that are kept, files are in folders `column=value`. `outputs` are
    those of the model that are written, all if empty.
    """

    path: Location
    format: OutputFormat = "parquet"
    mode: OutputMode = "fail"
    """What is done where the folder is not empty."""
    partition_by: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    compression: str = ""
    """Of the files; empty: zstd for Parquet and Arrow, none for text."""


class BadRows(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many rows may be set aside; a job with more of them fails. What is given must both hold.

    With neither, none may.
    """

    count: Annotated[int, Meta(ge=0)] | None = None
    share: Annotated[float, Meta(ge=0, le=1)] | None = None


class BatchSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A batch job as it is asked for. `version` or `alias`, or the default version if neither."""

    model: str
    version: int | None = None
    alias: str = ""
    input: InputSpec
    output: OutputSpec
    max_bad_rows: BadRows = BadRows()
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Rows that are scored at once; None: what is measured to be fastest."""
    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """Processes; None: one per core, of the machine or of the cluster."""
    partition_rows: Annotated[int, Meta(ge=1, le=100_000_000)] = 500_000
    """About so many rows are committed together."""
    seed: int = 0
    priority: Annotated[int, Meta(ge=0, le=100)] = 50
    """Of those that wait, jobs with a higher one begin first."""
    engine: BatchEngine = "auto"
    """Where: `local`, processes of one machine, or `ray`, those of a Ray cluster; `auto`: local."""
    runtime: str = ""
    """What runs the model; empty: what is fastest for many rows."""
    explain: bool = False
    """Write what every feature contributed as well."""
    labels: dict[str, str] = {}
