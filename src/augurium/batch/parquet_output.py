"""Answers as Parquet, the same bytes for the same rows. Imports pyarrow."""

import pyarrow as pa
import pyarrow.parquet as pq

PAGE_BYTES = 1024 * 1024


class ParquetRows:
    """A Parquet file; every piece is a row group.

    Only texts have dictionaries: the numbers that models answer hardly ever come twice, and finding
    that out for each column takes time.
    """

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, compression: str) -> None:
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression=compression,
            use_dictionary=[field.name for field in schema if _is_text(field.type)],
            data_page_size=PAGE_BYTES,
        )

    def write(self, rows: pa.Table) -> None:
        # pages end where chunks do, so there is one
        self._writer.write_table(rows.combine_chunks(), row_group_size=max(rows.num_rows, 1))

    def close(self) -> None:
        self._writer.close()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
