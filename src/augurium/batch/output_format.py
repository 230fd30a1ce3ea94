"""The formats of output files: how each is called, compressed and written. Loads pyarrow late."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from augurium.core.batch_job import OutputSpec
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_COMPRESSION = {"parquet": "zstd", "arrow": "zstd", "csv": "none", "jsonl": "none"}
COMPRESSIONS: Mapping[str, tuple[str, ...]] = {
    "parquet": ("zstd", "snappy", "gzip", "lz4", "none"),
    "arrow": ("zstd", "lz4", "none"),
    "csv": ("none", "gzip", "zstd"),
    "jsonl": ("none", "gzip", "zstd"),
}
# of texts, which readers tell by their names
_ENDINGS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


class RowsFile(Protocol):
    """An open file that takes rows, piece by piece."""

    def write(self, rows: "pa.Table") -> None: ...

    def close(self) -> None:
        """Writes what stands at the end; what it wrote to stays open."""


class OutputFormat(NamedTuple):
    """A format with its compression; `suffix` is how its files' names end."""

    name: str
    compression: str
    suffix: str

    def open(self, stream: "pa.NativeFile", schema: "pa.Schema") -> RowsFile:
        """A file that writes to `stream`."""
        return _opener(self.name)(stream, schema, self.compression)

    def check(self, schema: "pa.Schema") -> None:
        """Raises InvalidArgument for a column that this format cannot hold."""
        import pyarrow as pa

        if self.name == "csv":
            from augurium.batch.csv_output import check_columns

            check_columns(schema)
        for field in schema:
            try:
                self._try(pa.schema([field]))
            except (pa.ArrowException, ValueError, TypeError) as error:
                raise InvalidArgument(
                    f"{self.name} files cannot hold column '{field.name}' of type {field.type}; "
                    "leave it out, or write another format"
                ) from error

    def _try(self, schema: "pa.Schema") -> None:
        """Writes a missing value, which says more than any list of types would."""
        import pyarrow as pa

        file = self.open(pa.BufferOutputStream(), schema)
        file.write(pa.table([pa.nulls(1, field.type) for field in schema], schema))
        file.close()


def output_format(spec: OutputSpec) -> OutputFormat:
    """The format that files are written in. Raises InvalidArgument for another compression."""
    compression = spec.compression or DEFAULT_COMPRESSION[spec.format]
    allowed = COMPRESSIONS[spec.format]
    if compression not in allowed:
        raise InvalidArgument(
            f"{spec.format} files cannot be compressed by {compression[:32]!r}; "
            f"expected one of {', '.join(allowed)}"
        )
    ending = _ENDINGS[compression] if spec.format in ("csv", "jsonl") else ""
    return OutputFormat(spec.format, compression, f".{spec.format}{ending}")


def _opener(name: str) -> Callable[["pa.NativeFile", "pa.Schema", str], RowsFile]:
    if name == "parquet":
        from augurium.batch.parquet_output import ParquetRows

        return ParquetRows
    if name == "arrow":
        from augurium.batch.arrow_output import ArrowRows

        return ArrowRows
    if name == "csv":
        from augurium.batch.csv_output import CsvRows

        return CsvRows
    from augurium.batch.jsonl_output import JsonLines

    return JsonLines
